"""How a model chooses among options: the highest score wins, and ties are broken by a fair coin, in expectation."""

from jaxtyping import Float
from torch import Tensor

from dovetail.evaluation.matching import TIE


def chosen(scores: Float[Tensor, "r c"]) -> Float[Tensor, "r c"]:
    """The probability of each of c options in each of r choices: 1 for the highest score, equal parts for equal ones.

    Scores that differ by less than a millionth of the row's largest are equal, as in `Matching`. On the CPU, in
    float64. Raises ValueError for NaN or infinity.
    """
    if not scores.isfinite().all():
        raise ValueError("the scores hold NaN or infinity; nothing can be chosen by them")
    top = scores >= scores.amax(1, keepdim=True) - TIE * scores.abs().amax(1, keepdim=True)
    return (top.double() / top.sum(1, keepdim=True)).cpu()
