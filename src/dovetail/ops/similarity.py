"""Plain similarities between two sets of vectors."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from dovetail.contracts import Features, Similarity


def normalize(x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
    """Vectors scaled to unit Euclidean length (a zero vector stays zero)."""
    return F.normalize(x, dim=-1)


def cosine(rows: Float[Tensor, "r d"], cols: Float[Tensor, "c d"]) -> Float[Tensor, "r c"]:
    """The cosine of the angle between every row vector and every column vector, in -1..1."""
    return normalize(rows) @ normalize(cols).T


def compare(similarity: Similarity, rows: Features, cols: Features) -> Float[Tensor, "r c"]:
    """The scores of things as they come, neither prepared nor cut into parts: for few of them."""
    return similarity.scores(similarity.prepare(rows), similarity.prepare(cols))
