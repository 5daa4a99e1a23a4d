"""Softmax cross-entropy with targets that another model gives: every pair belongs together, more or less.

Hinton et al., "Distilling the Knowledge in a Neural Network", 2015:

    L_i = - sum_j q_ij log softmax(s_i)_j,    q_i = softmax(t_i)

s: the pupil's scores, t: the teacher's. Up to the teacher's entropy, which has no gradient, it is KL(q | softmax(s)).
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from dovetail.contracts import RowFacts, Similarity
from dovetail.ops.contrast import contrast
from dovetail.ops.features import wide
from dovetail.ops.sides import Pairs, Side
from dovetail.ops.similarity import normalize


class SoftCrossEntropy:
    """A pair loss whose targets, over their sum, are the row's probabilities. See `contracts.PairLoss`."""

    initial_scale = 1 / 0.07
    initial_bias: float | None = None
    pairwise = False

    def exponents(self, scores: Float[Tensor, "r c"], targets: Float[Tensor, "r c"] | None) -> tuple[Tensor, ...]:
        """All scores: what belongs together competes too."""
        return (scores,)

    def costs(
        self, scores: Float[Tensor, "r c"], targets: Float[Tensor, "r c"] | None, row: RowFacts
    ) -> Float[Tensor, "r c"]:
        """Each pair's share of the targets times its logarithmic loss."""
        if targets is None:
            return torch.zeros_like(scores)
        return targets / row.total.clamp_min(torch.finfo(scores.dtype).tiny) * (row.statistics[0] - scores)


def taught(
    left: Side,
    right: Side,
    teacher: tuple[Float[Tensor, "r e"], Float[Tensor, "c e"]],
    similarity: Similarity,
    scale: Float[Tensor, ""],
    teacher_scale: Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """The loss above in both directions, by `ops.contrast.contrast`; the teacher's scores are the cosines of its
    vectors of both sides, times its scale."""
    sharpness = teacher_scale.detach()

    def targets(rows: Side, cols: Side) -> Pairs | None:
        assert rows.facts is not None and cols.facts is not None
        return Pairs.of((sharpness * (rows.facts @ cols.facts.T - 1)).exp())

    u, v = (normalize(wide(x.detach())) for x in teacher)
    left, right = replace(left, facts=u), replace(right, facts=v)
    return contrast(left, right, similarity, SoftCrossEntropy(), scale, None, targets)
