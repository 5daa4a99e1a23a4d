"""Text-conditioned: a text gathers from an image's patches what it speaks of, and is compared with that.

Xiao et al., "FLAIR: VLM with Fine-grained Language-informed Image Representations", 2025.

    s(image i, text j) = cos(v_ij, t_j),    v_ij = Attention(query: t_j, keys, values: patches of image i)

`nn.text_conditioned` has the attention, which is learnt. Shapes: images with tokens (r n d), texts (c d) -> (r c), the
same matrix from either side. Images are told from texts by their grid of patches. Two images, or two texts, have
nothing to gather for one another: they are compared by the cosine of their pooled vectors.

Every text meets every patch of every image: no vector index serves it. Differs from `filip`, where words choose a patch
each, in that a text asks as a whole, and in what it learns. The objective `flair` trains it as its authors do.
"""

from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import implements
from dovetail.contracts import Features, Similarity
from dovetail.nn.repeatable import repeatable
from dovetail.nn.text_conditioned import TextConditionedPooling, fitness
from dovetail.ops.similarity import cosine


@implements(Similarity)
class TextConditioned(nn.Module):
    """The cosine of a text with its view of an image, in -1..1.

    Args:
        embed_dim: length of the embeddings.
        heads: of the attention; they divide embed_dim.
    """

    symmetric = True
    tokens = True

    def __init__(self, embed_dim: int = 512, heads: int = 8):
        super().__init__()
        if embed_dim % heads:
            raise ValueError(f"heads={heads} does not divide embeddings of {embed_dim} numbers")
        self.embed_dim, self.heads = embed_dim, heads
        with repeatable():
            self.pooling = TextConditionedPooling(embed_dim, heads)

    def prepare(self, features: Features) -> Features:
        """Of a text its vector alone. Raises ValueError for images with embeddings of another length."""
        if features.grid is None or features.tokens is None:
            # Words take no part, but a model of tokens has a map for them, and none of it may be without a gradient.
            return Features(features.pooled + (0 if features.tokens is None else 0 * features.tokens.sum()))
        if (found := features.pooled.shape[1]) != self.embed_dim:
            raise ValueError(
                f"text_conditioned(embed_dim={self.embed_dim}) was given embeddings of {found} numbers; "
                f"write text_conditioned(embed_dim={found})"
            )
        return features

    def scores(self, rows: Features, cols: Features) -> Float[Tensor, "r c"]:
        """The cosines of texts with their views, or of images or texts among themselves."""
        if (rows.tokens is None) == (cols.tokens is None):
            return cosine(rows.pooled, cols.pooled)
        return fitness(self.pooling, rows, cols) if rows.tokens is not None else fitness(self.pooling, cols, rows).T
