"""Focal: a pair that is told apart well already costs next to nothing, so that hard pairs have the gradient.

Lin et al., "Focal Loss for Dense Object Detection", 2017.

    L_i = - 1/|P_i| sum_{p in P_i}  (1 - q_ip)^gamma log q_ip                        (eq. 4, with q of a softmax)
    q_ip = exp(s_ip) / (exp(s_ip) + sum_{j not in P_i} exp(s_ij))

s (r c): scores, scale * similarity; P_i: the columns that belong to row i. The paper has a detector's yes or no in
place of the softmax, gamma = 2 as its best, and a weight of each class besides, which columns of a batch have not. A
row without a positive, or without a negative, costs nothing; soft targets weight the positives.

Differs from InfoNCE, which it is for gamma = 0, in the factor: at q = 0.9 and gamma = 2 a pair costs a hundredth.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from dovetail.catalogue import implements
from dovetail.contracts import PairLoss, RowFacts


@implements(PairLoss)
class Focal:
    """Softmax cross-entropy of each positive against the row's negatives, times how wrong it is to a power.

    Args:
        gamma: the power; 0 gives InfoNCE.
        initial_scale: the factor on the similarity at the start (1 / temperature); learnt.
    """

    initial_bias = None
    pairwise = False

    def __init__(self, gamma: float = 2.0, initial_scale: float = 1 / 0.07):
        self.gamma, self.initial_scale = gamma, initial_scale

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
        behind = row.statistics[0] - scores  # 1 - q is its sigmoid, -log q its softplus
        return weights * (self.gamma * F.logsigmoid(behind)).exp() * F.softplus(behind)
