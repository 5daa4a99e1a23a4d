"""SigLIP text: the text tower of SigLIP, whose words all see one another and whose last place is the text's vector.

Zhai et al., "Sigmoid Loss for Language Image Pre-Training", 2023.

    tokens = Transformer(W_e ids + positions);   pooled = W (the token at the last place) + b

Shapes: ids (t l) -> pooled (t d), tokens (t l e). Differs from `clip_text` in attending both ways, in pooling at the
last place and in the linear map after it. SigLIP fills every text up to its context with padding that counts as text
(`data.text.Tokenizer(fill=True)`), so that the last place is always the context's; of texts whose padding is masked
it is the last real token. Equal to transformers', whose weights `models.siglip_weights` renames.
"""

import torch
from torch import nn

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features, Tokens
from dovetail.nn.transformer import Layout, Transformer, activation_named, flat_positions


@implements(Encoder)
class SiglipText(nn.Module):
    """Bidirectional text transformer, pooled at the last place.

    Args:
        vocabulary: number of token ids.
        context: the most tokens a text may have.
        width: length of the pooled vector.
        depth: number of blocks.
        heads: number of attention heads; divides `token_width`.
        mlp_ratio: width of a block's hidden layer, over `token_width`.
        activation: gelu, gelu_tanh as in SigLIP's weights, or quick_gelu.
        eps: of the norms.
        token_width: length of a token's vector; None: `width`.
    """

    def __init__(
        self,
        vocabulary: int = 32000,
        context: int = 64,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        mlp_ratio: float = 4.0,
        activation: str = "gelu_tanh",
        eps: float = 1e-6,
        token_width: int | None = None,
    ):
        super().__init__()
        inner = width if token_width is None else token_width
        if inner % heads:
            raise ValueError(f"a token's width {inner} must be a multiple of heads {heads}")
        self.vocabulary, self.context, self.width, self.depth, self.heads = vocabulary, context, width, depth, heads
        self.mlp_ratio, self.activation, self.eps = mlp_ratio, activation, eps
        self.token_width = inner
        self.words = nn.Embedding(vocabulary, inner)
        self.positions = nn.Parameter(torch.randn(context, inner) * 0.01)
        self.transformer = Transformer(inner, depth, heads, mlp_ratio, activation_named(activation), eps)
        self.head = nn.Linear(inner, width)
        nn.init.normal_(self.words.weight, std=0.02)

    def forward(self, x: Tokens) -> Features:
        """Token ids to one vector a text and one a token."""
        if x.ids.shape[1] > self.context:
            raise ValueError(f"a text of {x.ids.shape[1]} tokens is longer than the context of {self.context}")
        # As SigLIP's are: attention without a mask is faster. (An exported graph does not look.)
        full = not torch.compiler.is_exporting() and bool(x.mask.all())
        layout = Layout(*x.ids.shape) if full else Layout.of(x.mask)
        flat = self.words(layout.pack(x.ids[..., None])[:, 0]) + flat_positions(layout, self.positions)
        tokens = layout.spread(self.transformer(flat, layout))
        last = x.mask.sum(1) - 1
        return Features(self.head(tokens[torch.arange(tokens.shape[0], device=tokens.device), last]), tokens, x.mask)
