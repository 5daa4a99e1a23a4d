"""Text-conditioned pooling: every text gathers of an image's patches what it speaks of.

Xiao et al., "FLAIR: VLM with Fine-grained Language-informed Image Representations", 2025.

    v_ij = Attention(query: norm(t_j), keys, values: norm(patches of image i), and one of zeros)

Each of the three has a norm of its own; the key and value of zeros let a text look at nothing.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from dovetail.contracts import Features
from dovetail.ops.attention import attend
from dovetail.ops.similarity import normalize

AT_ONCE = 1 << 24  # numbers of the views that are made at once


class TextConditionedPooling(nn.Module):
    """Attention of each text over each image's patches, or over nothing."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query_norm, self.key_norm, self.value_norm = (nn.LayerNorm(width) for _ in range(3))
        self.inner, self.outer = nn.Linear(width, 3 * width), nn.Linear(width, width)  # as torch's attention has them
        nn.init.xavier_uniform_(self.inner.weight)
        nn.init.zeros_(self.inner.bias)
        nn.init.zeros_(self.outer.bias)

    def forward(
        self, texts: Float[Tensor, "t d"], patches: Float[Tensor, "b n d"], real: Bool[Tensor, "b n"] | None
    ) -> Float[Tensor, "b t d"]:
        """What every text sees in every image."""
        maps = zip(self.inner.weight.chunk(3), self.inner.bias.chunk(3), strict=True)
        things = self.query_norm(texts)[None], self.key_norm(patches), self.value_norm(patches)
        q, k, v = (
            F.linear(x, weight, bias).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for x, (weight, bias) in zip(things, maps, strict=True)
        )
        k, v = (F.pad(x, (0, 0, 0, 1)) for x in (k, v))
        seen = None if real is None else F.pad(real, (0, 1), value=True)
        found = attend(q.expand(len(patches), -1, -1, -1), k, v, seen)
        return self.outer(found.transpose(1, 2).flatten(2))


def fitness(pooling: TextConditionedPooling, images: Features, texts: Features) -> Float[Tensor, "b t"]:
    """The cosine of every text with what it sees in every image, a few images at a time. Images with their tokens,
    texts by their pooled vectors; computed in the texts' precision."""
    patches, every = images.tokens, texts.pooled
    assert patches is not None
    learnt = {name: p.to(every.dtype) for name, p in pooling.named_parameters()}

    def cosines(patches: Tensor, real: Tensor | None) -> Tensor:
        views = functional_call(pooling, learnt, (every, patches, real))
        return (normalize(views) * normalize(every)).sum(2)

    parts = torch.arange(len(patches), device=patches.device).split(max(1, AT_ONCE // max(1, every.numel())))
    found = [
        checkpoint(cosines, patches[at], None if images.mask is None else images.mask[at], use_reentrant=False)
        for at in parts
    ]
    return torch.cat(found) if found else every.new_zeros(0, len(every))
