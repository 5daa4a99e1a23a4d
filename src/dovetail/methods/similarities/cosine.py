"""Cosine: two things are alike when their vectors point the same way.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021.

    s_ij = <x_i, y_j> / (|x_i| |y_j|)                                                                       (fig. 3)

One vector an item, so that a gallery is searched with one matrix product or a vector index. The others differ in
looking at tokens too, or in another geometry.
"""

from jaxtyping import Float
from torch import Tensor

from dovetail.catalogue import implements
from dovetail.contracts import Features, Similarity
from dovetail.ops.similarity import normalize


@implements(Similarity)
class Cosine:
    """The cosine between pooled vectors, in -1..1."""

    symmetric = True
    tokens = False

    def prepare(self, features: Features) -> Features:
        """Unit vectors."""
        return Features(normalize(features.pooled))

    def scores(self, rows: Features, cols: Features) -> Float[Tensor, "r c"]:
        """The products of unit vectors, which are the cosines."""
        return rows.pooled @ cols.pooled.T
