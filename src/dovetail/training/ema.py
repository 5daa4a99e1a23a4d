"""The running mean of a model's weights, which often evaluates better than the last ones.

Polyak & Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992, in its exponential form:

    m <- d m + (1 - d) w,    d = min(decay, (1 + step) / (10 + step)),  so that the first weights are soon forgotten
"""

import copy

import torch
from torch import nn


class EMA:
    """Holds `average`, a copy of the module whose floating-point tensors trail the module's."""

    def __init__(self, module: nn.Module, decay: float):
        self.decay = decay
        self.average = copy.deepcopy(module).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Moves the average towards the module's weights after step number `step` (from 1)."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        mine, theirs = self.average.state_dict(), module.state_dict()
        for name, tensor in theirs.items():
            if tensor.is_floating_point():
                mine[name].lerp_(tensor, share)
            else:
                mine[name].copy_(tensor)
