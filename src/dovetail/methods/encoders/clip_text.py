"""CLIP text: the text tower of CLIP, whose words see those before them and whose last token is the text's vector.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021.

    tokens = W_e ids + positions;   causal Transformer(tokens);   pooled = the token at the end of the text

Shapes: ids (t l) -> pooled (t d), tokens (t l d). Differs from `text_transformer` in attending to the left alone and in
pooling at one token. Equal to open_clip's and, with `quick_gelu`, to OpenAI's, whose weights `models.clip_weights`
renames; but no work is done on padding, which there is most of the work: nothing before it sees it. New weights start
as those of `text_transformer` do.
"""

import torch
from jaxtyping import Int
from torch import Tensor, nn

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features, Tokens
from dovetail.nn.transformer import Layout, Transformer, activation_named, flat_positions


@implements(Encoder)
class ClipText(nn.Module):
    """Causal text transformer, pooled at the end of the text.

    Args:
        vocabulary: number of token ids.
        context: the most tokens a text may have.
        width: length of a token's vector.
        depth: number of blocks.
        heads: number of attention heads; divides `width`.
        mlp_ratio: width of a block's hidden layer, over `width`.
        activation: gelu, gelu_tanh, or quick_gelu as in OpenAI's weights.
        end: id of the token at which a text is pooled, the first of them in it (without any: the text's first token);
            None: the highest id in the text, as CLIP's tokenizer has it.
        eps: of the norms.
    """

    def __init__(
        self,
        vocabulary: int = 49408,
        context: int = 77,
        width: int = 512,
        depth: int = 12,
        heads: int = 8,
        mlp_ratio: float = 4.0,
        activation: str = "gelu",
        end: int | None = None,
        eps: float = 1e-5,
    ):
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} must be a multiple of heads {heads}")
        self.vocabulary, self.context, self.width, self.depth, self.heads = vocabulary, context, width, depth, heads
        self.mlp_ratio, self.activation, self.end, self.eps = mlp_ratio, activation, end, eps
        self.token_width = width
        self.words = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.randn(context, width) * 0.01)
        self.transformer = Transformer(width, depth, heads, mlp_ratio, activation_named(activation), eps)
        nn.init.normal_(self.words.weight, std=0.02)

    def forward(self, x: Tokens) -> Features:
        """Token ids to one vector a text and one a token."""
        if x.ids.shape[1] > self.context:
            raise ValueError(f"a text of {x.ids.shape[1]} tokens is longer than the context of {self.context}")
        layout = Layout.of(x.mask, causal=True)
        flat = self.words(layout.pack(x.ids[..., None])[:, 0]) + flat_positions(layout, self.positions)
        tokens = layout.spread(self.transformer(flat, layout))
        return Features(tokens[torch.arange(tokens.shape[0], device=tokens.device), self._ends(x)], tokens, x.mask)

    def _ends(self, x: Tokens) -> Int[Tensor, " t"]:
        """Where each text is pooled."""
        sought = x.ids if self.end is None else (x.ids == self.end).to(x.ids.dtype)
        return sought.masked_fill(~x.mask, -1).argmax(1)
