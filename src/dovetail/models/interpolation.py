"""Between a model and what fine-tuning made of it: what was learnt is kept, what was known is forgotten less.

Wortsman et al., "Robust fine-tuning of zero-shot models", 2022 (WiSE-FT).

    theta(alpha) = (1 - alpha) theta_original + alpha theta_tuned
"""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from dovetail.models.dual_encoder import DualEncoder


def interpolated(original: DualEncoder, tuned: DualEncoder, alpha: float) -> DualEncoder:
    """A model whose every tensor lies between those of both; what only one of them has is `tuned`'s.

    alpha: 0 is the original, 1 the tuned model. Raises ValueError for another alpha, tensors of other shapes, and where
    the tuned model lacks any of the original's.
    """
    made = copy.deepcopy(tuned)
    if lost := sorted(original.state_dict().keys() - made.state_dict().keys()):
        raise ValueError(f"the tuned model has other parts than the original, among them no {lost[0]}")
    draw_back(made, original.state_dict(), alpha)
    return made


def draw_back(tuned: DualEncoder, original: Mapping[str, Tensor], alpha: float) -> None:
    """Moves a model to between what it was and what it is; see `interpolated`."""
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be between 0 (the original) and 1 (the tuned model), not {alpha}")
    with torch.no_grad():
        for name, tensor in tuned.state_dict().items():
            first = original.get(name)
            if first is None or not tensor.is_floating_point():
                continue
            if first.shape != tensor.shape:
                raise ValueError(f"{name} has the shape {tuple(tensor.shape)}, in the original {tuple(first.shape)}")
            tensor.copy_(torch.lerp(first.to(tensor), tensor, alpha))
