"""MIL-NCE: of several texts that may belong to an image it is enough that some do.

Miech et al., "End-to-End Learning of Visual Representations from Uncurated Instructional Videos", 2020.

    L_i = - log  sum_{p in P_i} exp(s_ip) / (sum_{p in P_i} exp(s_ip) + sum_{j not in P_i} exp(s_ij))           (eq. 1)

s (r c): scores, scale * similarity; P_i: the columns that belong to row i. Confirmed against the authors' code: the
positives are summed inside the logarithm. It has one row a video, whose negatives are the other videos' texts and the
other videos for its own texts, in one sum, in which the positives count twice; here each direction is a row of its own,
as with every pair loss, and a text meets its image alone. They compare raw inner products at scale 1; the scale here is
CLIP's. Soft targets weight the positives' exponentials. A row without a positive, or without a negative, costs nothing.

Differs from InfoNCE, which it is with one positive a row, in that a positive that fits badly is left alone when another
fits; there each must win by itself.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from dovetail.catalogue import implements
from dovetail.contracts import PairLoss, RowFacts


@implements(PairLoss)
class MILNCE:
    """Softmax cross-entropy of a row's positives together against its negatives.

    Args:
        initial_scale: the factor on the similarity at the start (1 / temperature); learnt.
    """

    initial_bias = None
    pairwise = False

    def __init__(self, initial_scale: float = 1 / 0.07):
        self.initial_scale = initial_scale

    def exponents(self, scores: Float[Tensor, "r c"], targets: Float[Tensor, "r c"] | None) -> tuple[Tensor, ...]:
        """The scores of the negatives; those of the positives, weighted by their targets."""
        own = torch.zeros_like(scores) if targets is None else targets
        numbers = torch.finfo(scores.dtype)
        weighted = scores + own.clamp_min(numbers.tiny).log()
        return scores.masked_fill(own > 0, numbers.min), weighted.masked_fill(own == 0, numbers.min)

    def costs(
        self, scores: Float[Tensor, "r c"], targets: Float[Tensor, "r c"] | None, row: RowFacts
    ) -> Float[Tensor, "r c"]:
        """The row's loss, of which each positive bears its share of the row's targets."""
        if targets is None:
            return torch.zeros_like(scores)
        weights = targets / row.total.clamp_min(torch.finfo(scores.dtype).tiny)
        negatives, positives = row.statistics
        return weights * F.softplus(negatives - positives)
