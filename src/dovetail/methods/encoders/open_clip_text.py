"""OpenCLIP text: CLIP's text tower with the choices that its open reproductions tried.

Cherti et al., "Reproducible scaling laws for contrastive language-image learning", 2023.

    tokens = Transformer(W_e ids + positions), causal or not;   pooled = W (the first, last or end token) + b

Shapes: ids (t l) -> pooled (t d), tokens (t l e). Differs from `clip_text` in that words may see those after them, the
token that stands for the text may be the first or last one, the branches of the blocks may be scaled (LayerScale:
Touvron et al., 2021), and the linear map into the shared space may be its own. Equal to open_clip's, which reads
padding as text wherever a token sees it: `data.text.Tokenizer(fill=True)` does so too.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor, nn

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features, Tokens
from dovetail.nn.head import Head
from dovetail.nn.transformer import Layout, Transformer, activation_named, flat_positions


@implements(Encoder)
class OpenClipText(nn.Module):
    """Text transformer that is causal or not, with a choice of pooling.

    Args:
        vocabulary: number of token ids.
        context: the most tokens a text may have.
        inner: length of a token's vector.
        depth: number of blocks.
        heads: number of attention heads; divides `inner`.
        mlp_ratio: width of a block's hidden layer, over `inner`.
        activation: gelu, gelu_tanh or quick_gelu.
        eps: of the norms.
        causal: a token sees those before it alone.
        pool: first, last or highest (the token of the highest id), or the id of the token to pool at, the first of them
            in a text (without any: the text's first token).
        layer_scale: where the factors of the blocks' branches start; None: without them.
        out: how many numbers a linear map of the pooled vector gives, and whether it has a bias; None: no such map.
    """

    def __init__(
        self,
        vocabulary: int = 49408,
        context: int = 77,
        inner: int = 512,
        depth: int = 12,
        heads: int = 8,
        mlp_ratio: float = 4.0,
        activation: str = "gelu",
        eps: float = 1e-5,
        causal: bool = False,
        pool: str | int = "last",
        layer_scale: float | None = None,
        out: Sequence[int] | None = None,
    ):
        super().__init__()
        if inner % heads:
            raise ValueError(f"width {inner} must be a multiple of heads {heads}")
        if not isinstance(pool, int) and pool not in ("first", "last", "highest"):
            raise ValueError(f"pool must be first, last, highest or an id, not {pool!r}")
        self.vocabulary, self.context, self.inner, self.depth, self.heads = vocabulary, context, inner, depth, heads
        self.mlp_ratio, self.activation, self.eps, self.causal = mlp_ratio, activation, eps, causal
        self.pool, self.layer_scale, self.out = pool, layer_scale, out
        self.words = nn.Embedding(vocabulary, inner)
        self.positions = nn.Parameter(torch.randn(context, inner) * 0.01)
        function = activation_named(activation)
        self.transformer = Transformer(inner, depth, heads, mlp_ratio, function, eps, layer_scale)
        self.head = Head(inner, out)
        self.width, self.token_width = self.head.width, inner
        nn.init.normal_(self.words.weight, std=0.02)

    def forward(self, x: Tokens) -> Features:
        """Token ids to one vector a text and one a token."""
        if x.ids.shape[1] > self.context:
            raise ValueError(f"a text of {x.ids.shape[1]} tokens is longer than the context of {self.context}")
        layout = Layout.of(x.mask, self.causal)
        flat = self.words(layout.pack(x.ids[..., None])[:, 0]) + flat_positions(layout, self.positions)
        tokens = layout.spread(self.transformer(flat, layout))
        pooled = tokens[torch.arange(tokens.shape[0], device=tokens.device), self._places(x)]
        return Features(self.head(pooled), tokens, x.mask)

    def _places(self, x: Tokens) -> Int[Tensor, " t"]:
        """Where each text is pooled."""
        if self.pool == "first":
            return x.ids.new_zeros(x.ids.shape[0])
        if self.pool == "last":
            return x.mask.sum(1) - 1
        sought = x.ids if self.pool == "highest" else x.ids.eq(int(self.pool)).to(x.ids.dtype)
        return sought.masked_fill(~x.mask, -1).argmax(1)
