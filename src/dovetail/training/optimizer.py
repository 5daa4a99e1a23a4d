"""The optimiser and its schedule.

Loshchilov & Hutter, "Decoupled Weight Decay Regularization", 2019, and "SGDR: Stochastic Gradient Descent with Warm
Restarts", 2017.
"""

import math

import torch
from torch import nn

from dovetail.training.settings import Settings


def adamw(module: nn.Module, settings: Settings) -> torch.optim.AdamW:
    """AdamW over the trainable parameters; weight decay on matrices alone. beta2 0.98 as CLIP uses with
    transformers."""
    trained = [p for p in module.parameters() if p.requires_grad]
    if not trained:
        raise ValueError("nothing to train: every parameter is frozen")
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": settings.weight_decay or 0.0},
        {"params": [p for p in trained if p.ndim == 1], "weight_decay": 0.0},
        # Scalars are never divided among processes, and the fused update takes no mixture.
        {"params": [p for p in trained if p.ndim == 0], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [g for g in groups if g["params"]], lr=settings.learning_rate or 0.0, betas=(0.9, 0.98), fused=True
    )


def learning_rate(peak: float, warmup: float, progress: float) -> float:
    """A linear rise over the share `warmup` of the run, then half a cosine down to 0."""
    if progress < warmup:
        return peak * max(progress / warmup, 0.01)
    done = min(1.0, (progress - warmup) / max(1e-9, 1 - warmup))
    return peak * (1 + math.cos(math.pi * done)) / 2
