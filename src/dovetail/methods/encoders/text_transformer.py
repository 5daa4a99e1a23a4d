"""Text transformer: every word of a caption sees every other, and their mean is the caption's vector.

Vaswani et al., "Attention Is All You Need", 2017.

    tokens = W_e ids + positions;   Transformer(tokens);   pooled = mean of the real tokens

Shapes: ids (t l) -> pooled (t d), tokens (t l d). Differs from CLIP's text tower in attending both ways and in pooling
by the mean, instead of causally and at the last token; which learns faster has not been measured here. Padding costs
nothing but the frame in which attention is computed.
"""

import torch
from torch import nn

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features, Tokens
from dovetail.nn.transformer import Layout, Transformer, flat_positions, mean_pool


@implements(Encoder)
class TextTransformer(nn.Module):
    """Bidirectional text transformer.

    Args:
        vocabulary: number of token ids.
        context: the most tokens a text may have.
        width: length of a token's vector.
        depth: number of blocks.
        heads: number of attention heads; divides `width`.
    """

    def __init__(self, vocabulary: int = 8192, context: int = 64, width: int = 256, depth: int = 4, heads: int = 4):
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} must be a multiple of heads {heads}")
        self.vocabulary, self.context, self.width, self.depth, self.heads = vocabulary, context, width, depth, heads
        self.token_width = width
        self.words = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.randn(context, width) * 0.01)
        self.transformer = Transformer(width, depth, heads)
        nn.init.normal_(self.words.weight, std=0.02)

    def forward(self, x: Tokens) -> Features:
        """Token ids to one vector a text and one a token."""
        if x.ids.shape[1] > self.context:
            raise ValueError(f"a text of {x.ids.shape[1]} tokens is longer than the context of {self.context}")
        layout = Layout.of(x.mask)
        flat = self.words(layout.pack(x.ids[..., None])[:, 0]) + flat_positions(layout, self.positions)
        tokens = layout.spread(self.transformer(flat, layout))
        return Features(mean_pool(tokens, x.mask), tokens, x.mask)
