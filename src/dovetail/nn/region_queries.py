"""Learnt queries that look over an image's tokens, each for one region.

Carion et al., "End-to-End Object Detection with Transformers", 2020:

    h = Decoder(queries, tokens);   vector = W h;   box = sigmoid(MLP(h)), its middle and size as fractions

A layer of the decoder: attention among the queries, attention over the tokens, a perceptron; pre-norm, torch's own. In
full precision: which region a query is matched to should not hang on rounding.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dovetail.ops.boxes import corners
from dovetail.ops.features import wide


class RegionQueries(nn.Module):
    """A decoder that gives a vector and a box for each of its queries.

    Args:
        count: queries.
        width: length of an image token's vector.
        out: length of a query's vector inside, and of the vectors it gives.
        depth: layers.
        heads: of every attention; divides `out`.
    """

    def __init__(self, count: int, width: int, out: int, depth: int, heads: int):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(count, out))
        self.memory = nn.Sequential(nn.Linear(width, out, bias=False), nn.LayerNorm(out))
        layer = nn.TransformerDecoderLayer(out, heads, 4 * out, 0.0, batch_first=True, norm_first=True)
        self.decoder = nn.TransformerDecoder(layer, depth, nn.LayerNorm(out))
        for p in self.decoder.parameters():  # torch copies one layer, so that all would begin alike
            if p.ndim > 1:
                nn.init.xavier_uniform_(p)
        self.vector = nn.Linear(out, out, bias=False)
        self.box = nn.Sequential(nn.Linear(out, out), nn.ReLU(), nn.Linear(out, out), nn.ReLU(), nn.Linear(out, 4))

    def forward(
        self, tokens: Float[Tensor, "b n e"], real: Bool[Tensor, "b n"] | None = None
    ) -> tuple[Float[Tensor, "b q d"], Float[Tensor, "b q 4"]]:
        """The vectors of the queries, and their boxes' corners; real: which tokens are."""
        with torch.autocast(tokens.device.type, enabled=False):
            memory = self.memory(wide(tokens))
            queries = self.queries.expand(len(tokens), -1, -1)
            hidden = self.decoder(queries, memory, memory_key_padding_mask=None if real is None else ~real)
            return self.vector(hidden), corners(self.box(hidden).sigmoid())
