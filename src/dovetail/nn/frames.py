"""A tower for what another sensor saw: the patches of all frames, read by one transformer.

Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale", 2021; all frames at
once as in Arnab et al., "ViViT: A Video Vision Transformer", 2021.

    tokens = W_p patches + place + time(t / frames);   Transformer(tokens);   vector = W mean(tokens)

place is learnt, time fixed (sines and cosines), so that the number of frames is free.
"""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.nn.transformer import Layout, Transformer

HEAD = 64  # numbers that a head sees, or a few more


class FrameTower(nn.Module):
    """A transformer over patches of frames, and a map into the shared space.

    Args:
        channels: of a frame: 1 for depth, 3 for video.
        size: height and width of a frame in pixels; a multiple of `patch`.
        patch: height and width of a patch in pixels.
        width: length of a token's vector; an even number.
        depth: number of blocks.
        embed_dim: length of the vectors that come out.
    """

    def __init__(self, channels: int, size: int, patch: int, width: int, depth: int, embed_dim: int):
        super().__init__()
        if size % patch or width % 2:
            raise ValueError(f"size {size} must be a multiple of patch {patch}, and width {width} an even number")
        self.channels, self.size, self.patch, self.width, self.depth = channels, size, patch, width, depth
        self.embed_dim = embed_dim
        self.patches = nn.Linear(channels * patch * patch, width)
        self.places = nn.Parameter(torch.randn((size // patch) ** 2, width) * 0.02)
        heads = next(h for h in range(max(1, width // HEAD), 0, -1) if width % h == 0)
        self.transformer = Transformer(width, depth, heads)
        self.projection = nn.Linear(width, embed_dim, bias=False)

    @property
    def options(self) -> dict[str, Any]:
        """What it takes to make another one like it."""
        return {k: getattr(self, k) for k in ("channels", "size", "patch", "width", "depth", "embed_dim")}

    def forward(self, frames: Float[Tensor, "m f c h w"]) -> Float[Tensor, "m e"]:
        """One vector for all frames of each item."""
        m, f = frames.shape[:2]
        side, p = self.size // self.patch, self.patch
        if frames.shape[2:] != (self.channels, self.size, self.size):
            raise ValueError(f"frames are {tuple(frames.shape[2:])}, not {(self.channels, self.size, self.size)}")
        cut = frames.reshape(m, f, self.channels, side, p, side, p).permute(0, 1, 3, 5, 2, 4, 6)
        x = self.patches(cut.reshape(m, f, side * side, self.channels * p * p)) + self.places
        x = (x + _time(f, self.width, x)[:, None]).flatten(1, 2)
        layout = Layout(m, f * side * side)
        vectors: Tensor = self.projection(layout.spread(self.transformer(x.flatten(0, 1), layout)).mean(1))
        return vectors


def _time(frames: int, width: int, like: Tensor) -> Float[Tensor, "f d"]:
    """Sines and cosines of the share of the time that has passed, from a half turn to many; 0 for a lone frame."""
    if frames == 1:
        return like.new_zeros(1, width)
    passed = torch.linspace(0, 1, frames, device=like.device, dtype=torch.float64)
    turns = math.pi * 64 ** torch.linspace(0, 1, width // 2, device=like.device, dtype=torch.float64)
    angles = passed[:, None] * turns
    return torch.cat([angles.sin(), angles.cos()], 1).to(like.dtype)
