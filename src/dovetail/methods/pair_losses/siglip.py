"""SigLIP: every image-caption pair is its own yes-or-no question; nothing is normalised over the batch.

Zhai et al., "Sigmoid Loss for Language Image Pre-Training", 2023.

    L = -1/b  sum_ij  log sigmoid(z_ij (t <x_i, y_j> + c)),    z_ij = +1 for a pair, -1 otherwise             (eq. 1)

scores (r c) arrive as t <x_i, y_j> + c; t = exp(t') starts at 10 and c at -10, so that the first steps do not spend
themselves on the b - 1 negatives of every positive. Soft targets mix the two answers of a pair.

Differs from InfoNCE in needing no softmax over the batch, hence no global view and no large batch.
"""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from dovetail.catalogue import implements
from dovetail.contracts import PairLoss, RowFacts


@implements(PairLoss)
class SigLIP:
    """Binary cross-entropy of every pair, summed over the row.

    Args:
        initial_scale: the factor on the similarity at the start; learnt.
        initial_bias: what is added to every score at the start; learnt.
    """

    pairwise = True

    def __init__(self, initial_scale: float = 10.0, initial_bias: float = -10.0):
        self.initial_scale = initial_scale
        self.initial_bias = initial_bias

    def exponents(self, scores: Float[Tensor, "r c"], targets: Float[Tensor, "r c"] | None) -> tuple[Tensor, ...]:
        """None: nothing is normalised over a row."""
        return ()

    def costs(
        self, scores: Float[Tensor, "r c"], targets: Float[Tensor, "r c"] | None, row: RowFacts
    ) -> Float[Tensor, "r c"]:
        """The loss of each pair. A row sums them up, as the paper divides by the number of rows alone."""
        if targets is None:
            return F.softplus(scores)  # the same, in fewer passes over the memory
        return F.binary_cross_entropy_with_logits(scores, targets.clamp(0, 1), reduction="none")
