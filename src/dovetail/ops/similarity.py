"""Plain similarities between two sets of vectors."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def normalize(x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
    """Vectors scaled to unit Euclidean length (a zero vector stays zero)."""
    return F.normalize(x, dim=-1)


def cosine(rows: Float[Tensor, "r d"], cols: Float[Tensor, "c d"]) -> Float[Tensor, "r c"]:
    """The cosine of the angle between every row vector and every column vector, in -1..1."""
    return normalize(rows) @ normalize(cols).T
