"""ViT: a picture is a sentence of patches, read by a plain transformer.

Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale", 2021.

    tokens = W_p patches + positions;   Transformer(tokens);   pooled = mean of the tokens

Shapes: images (b 3 s s) -> pooled (b d), tokens (b (s/p)^2 d). Differs from the paper in pooling by the mean instead
of a class token (Beyer et al., 2022, found it at least as good), and in that the patches are always square parts of a
square image.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features
from dovetail.nn.transformer import Layout, Transformer, mean_pool


@implements(Encoder)
class ViT(nn.Module):
    """Vision transformer.

    Args:
        size: height and width of the images in pixels; a multiple of `patch`.
        patch: height and width of a patch in pixels.
        width: length of a token's vector.
        depth: number of blocks.
        heads: number of attention heads; divides `width`.
    """

    def __init__(self, size: int = 112, patch: int = 16, width: int = 256, depth: int = 6, heads: int = 4):
        super().__init__()
        if size % patch or width % heads:
            raise ValueError(f"size {size} must be a multiple of patch {patch}, and width {width} of heads {heads}")
        self.size, self.patch, self.width, self.depth, self.heads = size, patch, width, depth, heads
        self.token_width = width
        self.patches = nn.Linear(3 * patch * patch, width)
        self.positions = nn.Parameter(torch.randn((size // patch) ** 2, width) * 0.02)
        self.transformer = Transformer(width, depth, heads)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Features:
        """Normalised pixels to one vector an image and one a patch."""
        b, side, p = x.shape[0], self.size // self.patch, self.patch
        if x.shape[2:] != (self.size, self.size):
            raise ValueError(
                f"this ViT reads images of {self.size} x {self.size} pixels, not {x.shape[2]} x {x.shape[3]}"
            )
        patches = x.reshape(b, 3, side, p, side, p).permute(0, 2, 4, 1, 3, 5).reshape(b * side * side, -1)
        layout = Layout(b, side * side)
        flat = self.patches(patches) + self.positions.repeat(b, 1)
        tokens = layout.spread(self.transformer(flat, layout))
        return Features(mean_pool(tokens), tokens, grid=(side, side))
