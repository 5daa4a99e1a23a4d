"""What the targets of a row of scores say: which columns are its negatives, and how much each positive counts."""

import torch
from jaxtyping import Float
from torch import Tensor

from dovetail.contracts import RowFacts


def negatives(scores: Float[Tensor, "r c"], targets: Float[Tensor, "r c"] | None) -> Float[Tensor, "r c"]:
    """The scores, with the lowest number where a column has a target; None: no column has one."""
    if targets is None:
        return scores
    # The lowest number rather than -inf, which gives no number at all for a row without negatives.
    return scores.masked_fill(targets > 0, torch.finfo(scores.dtype).min)


def shares(targets: Float[Tensor, "r c"], row: RowFacts) -> Float[Tensor, "r c"]:
    """Each target's share of its row's; none in a row without a target."""
    return targets / row.total.clamp_min(torch.finfo(targets.dtype).tiny)
