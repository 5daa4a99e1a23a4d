"""InfoNCE: pick the right caption out of the batch, and the right image, as a classification with softmax.

van den Oord et al., "Representation Learning with Contrastive Predictive Coding", 2018.

    L_i = - 1/|P_i| sum_{p in P_i}  log  exp(s_ip) / (exp(s_ip) + sum_{j not in P_i} exp(s_ij))              (eq. 4)

s (r c): scores, scale * similarity; P_i: the columns that belong to row i. With one positive a row this is eq. 4 and
CLIP's loss (Radford et al., 2021, whose initial scale 1/0.07 is the default). With several, each positive meets the
negatives on its own, as in the NT-Xent family: positives never compete, which a softmax over all columns would make
them do. A row without a positive costs nothing. Soft targets weight the positives; a column with target 0 is a
negative.

Differs from SigLIP in normalising over the batch: the loss of a pair depends on every other pair.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from dovetail.catalogue import implements
from dovetail.contracts import PairLoss, RowFacts


@implements(PairLoss)
class InfoNCE:
    """Softmax cross-entropy of each positive against the row's negatives.

    Args:
        initial_scale: the factor on the similarity at the start (1 / temperature); learnt.
    """

    initial_bias = None
    pairwise = False

    def __init__(self, initial_scale: float = 1 / 0.07):
        self.initial_scale = initial_scale

    def exponents(self, scores: Float[Tensor, "r c"], targets: Float[Tensor, "r c"] | None) -> tuple[Tensor, ...]:
        """The scores of the negatives."""
        if targets is None:
            return (scores,)
        # The smallest number rather than -inf, which gives no number at all for a row without negatives.
        return (scores.masked_fill(targets > 0, torch.finfo(scores.dtype).min),)

    def costs(
        self, scores: Float[Tensor, "r c"], targets: Float[Tensor, "r c"] | None, row: RowFacts
    ) -> Float[Tensor, "r c"]:
        """Each positive against the negatives, weighted by its share of the row's targets."""
        if targets is None:
            return torch.zeros_like(scores)
        weights = targets / row.total.clamp_min(torch.finfo(scores.dtype).tiny)
        return weights * F.softplus(row.statistics[0] - scores)
