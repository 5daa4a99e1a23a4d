"""InfoLOOB: InfoNCE that leaves the positive out of its own denominator, so that a pair well matched still pulls.

Poole et al., "On Variational Bounds of Mutual Information", 2019; as a loss for image-language pre-training in Fürst et
al., "CLOOB: Modern Hopfield Networks with InfoLOOB Outperform CLIP", 2022.

    L_i = - 1/|P_i| sum_{p in P_i}  log  exp(s_ip) / sum_{j not in P_i} exp(s_ij)

s (r c): scores, scale * similarity; P_i: the columns that belong to row i. The loss has no lower bound: with a learnt
scale it falls for ever as the scale grows, so CLOOB holds the scale at 30, the default here, and multiplies the loss by
its inverse. That factor is left to the learning rate here. A row without a negative, of which the formula says nothing,
costs nothing, as does a row without a positive.

Differs from InfoNCE, whose gradient vanishes as a pair becomes better than all its negatives (it saturates), in that
this one's does not.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from dovetail.catalogue import implements
from dovetail.contracts import PairLoss, RowFacts


@implements(PairLoss)
class InfoLOOB:
    """The log-odds of each positive against the row's negatives alone.

    Args:
        initial_scale: the factor on the similarity at the start (1 / temperature).
    """

    initial_bias = None
    pairwise = False

    def __init__(self, initial_scale: float = 30.0):
        self.initial_scale = initial_scale

    def exponents(self, scores: Float[Tensor, "r c"], targets: Float[Tensor, "r c"] | None) -> tuple[Tensor, ...]:
        """The scores of the negatives."""
        if targets is None:
            return (scores,)
        return (scores.masked_fill(targets > 0, torch.finfo(scores.dtype).min),)

    def costs(
        self, scores: Float[Tensor, "r c"], targets: Float[Tensor, "r c"] | None, row: RowFacts
    ) -> Float[Tensor, "r c"]:
        """Each positive against the negatives, weighted by its share of the row's targets."""
        if targets is None:
            return torch.zeros_like(scores)
        weights = targets / row.total.clamp_min(torch.finfo(scores.dtype).tiny)
        negatives = row.statistics[0]
        some = negatives > torch.finfo(scores.dtype).min / 2
        return weights * torch.where(some, negatives - scores, 0)
