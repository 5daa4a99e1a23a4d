"""FILIP: every patch looks for the word it is most like, every word for its patch, and the matches are averaged.

Yao et al., "FILIP: Fine-grained Interactive Language-Image Pre-Training", 2022.

    s(x, y) = 1/n_x  sum_k  max_l <x_k, y_l>,    k: the n_x real tokens of the row, l: the real tokens of the column

Tokens are unit vectors. Not symmetric: an image asks with its patches, a caption with its words (equations 3 and 4 of
the paper, one for each direction), and each direction of the loss has its own matrix. Shapes: tokens (r n d), (c m d)
-> (r c). An item without a token is like nothing: 0.

The paper also keeps only some tokens of each item, and sends them in half precision, to spare memory and network; here
the engine's tiles bound the memory, and every token is kept. Differs from the cosine of pooled vectors in saying which
part of the image a word speaks of.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from dovetail.catalogue import implements
from dovetail.contracts import Features, Similarity
from dovetail.ops.similarity import normalize


@implements(Similarity)
class FILIP:
    """The mean over a row's tokens of the best cosine with a token of the column, in -1..1."""

    symmetric = False
    tokens = True

    def prepare(self, features: Features) -> Features:
        """Unit vectors of the tokens, zeros in the padding."""
        assert features.tokens is not None
        tokens = normalize(features.tokens)
        if features.mask is not None:
            tokens = tokens * features.mask[..., None]
        return Features(features.pooled, tokens, features.mask, features.grid)

    def scores(self, rows: Features, cols: Features) -> Float[Tensor, "r c"]:
        """The means of the best matches, of prepared tokens."""
        assert rows.tokens is not None and cols.tokens is not None
        products = torch.einsum("rnd,cmd->rcnm", rows.tokens, cols.tokens)
        if cols.mask is not None:
            products = products.masked_fill(~cols.mask[None, :, None, :], -2.0)  # below every cosine
        best = products.amax(3)
        if cols.mask is not None:
            best = best * cols.mask.any(1)[None, :, None]
        if rows.mask is None:
            return best.mean(2)
        real = rows.mask.to(best.dtype)
        return (best * real[:, None, :]).sum(2) / real.sum(1).clamp_min(1)[:, None]
