"""CoCa text: the text tower of CoCa, whose words see those before them and whose class token at the end sees them all.

Yu et al., "CoCa: Contrastive Captioners are Image-Text Foundation Models", 2022.

    tokens, c = causal Transformer([W_e ids + positions; class + its position]);   pooled = c

Shapes: ids (t l) -> pooled (t d), tokens (t l d). Differs from `clip_text` in the class token, which has the place
after the longest text that there may be. Equal to open_clip's, its mask included, with which the published weights were
trained: one place too far to the left, so that the class token sees the first token of the padding, but not itself
unless a text fills the context; and a token of the padding's id within a text (CLIP's "!") hides the one after it.
"""

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features, Tokens
from dovetail.nn.transformer import Layout, Transformer, activation_named


@implements(Encoder)
class CocaText(nn.Module):
    """Causal text transformer, pooled at a class token that comes last.

    Args:
        vocabulary: number of token ids.
        context: the most tokens a text may have, the class token aside.
        width: length of a token's vector.
        depth: number of blocks.
        heads: number of attention heads; divides `width`.
        mlp_ratio: width of a block's hidden layer, over `width`.
        activation: gelu, gelu_tanh or quick_gelu.
        eps: of the norms.
        pad: id of the padding.
        layer_scale: where the factors of the blocks' branches start; None: without them.
    """

    def __init__(
        self,
        vocabulary: int = 49408,
        context: int = 76,
        width: int = 512,
        depth: int = 12,
        heads: int = 8,
        mlp_ratio: float = 4.0,
        activation: str = "gelu",
        eps: float = 1e-5,
        pad: int = 0,
        layer_scale: float | None = None,
    ):
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} must be a multiple of heads {heads}")
        self.vocabulary, self.context, self.width, self.depth, self.heads = vocabulary, context, width, depth, heads
        self.mlp_ratio, self.activation, self.eps, self.pad = mlp_ratio, activation, eps, pad
        self.layer_scale, self.token_width = layer_scale, width
        self.words = nn.Embedding(vocabulary, width)
        self.class_token = nn.Parameter(torch.randn(width) * 0.01)
        self.positions = nn.Parameter(torch.randn(context, width) * 0.01)
        self.class_position = nn.Parameter(torch.randn(width) * 0.01)
        function = activation_named(activation)
        self.transformer = Transformer(width, depth, heads, mlp_ratio, function, eps, layer_scale)
        nn.init.normal_(self.words.weight, std=0.02)

    def forward(self, x: Tokens) -> Features:
        """Token ids to one vector a text and one a token."""
        b, length = x.ids.shape
        if length > self.context:
            raise ValueError(f"a text of {length} tokens is longer than the context of {self.context}")
        ids = torch.where(x.mask, x.ids, self.pad)
        if length < self.context:  # one place of padding, which the class token sees
            ids = torch.cat([ids, ids.new_full((b, 1), self.pad)], 1)
        words = self.words(ids) + self.positions[: ids.shape[1]]
        last = (self.class_token + self.class_position).to(words.dtype).expand(b, 1, -1)
        layout = Layout(b, ids.shape[1] + 1, mask=self._seen(ids), causal=True)
        frame = layout.spread(self.transformer(torch.cat([words, last], 1).flatten(0, 1), layout))
        return Features(frame[:, -1], frame[:, :length], x.mask)

    def _seen(self, ids: Tensor) -> Bool[Tensor, "t n"]:
        """Which places others may see: the first, and those behind a token that is no padding."""
        return torch.cat([torch.ones_like(ids[:, :1], dtype=torch.bool), ids != self.pad], 1)
