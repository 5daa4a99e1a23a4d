"""CLIP ViT: the image tower of CLIP, whose first token, which is no patch, becomes the image's vector.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021.

    tokens = Norm([class; W_p patches] + positions);   Transformer(tokens);   pooled = the class token's

Shapes: images (b 3 s s) -> pooled (b d), tokens (b (s/p)^2 d), without the class token. Differs from `vit` in the class
token and in the norm before the first block; equal to open_clip's and, with `quick_gelu`, to OpenAI's, whose weights
`models.clip_weights` renames. New weights start as those of `vit` do.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features
from dovetail.nn.transformer import Layout, Transformer, activation_named


@implements(Encoder)
class ClipViT(nn.Module):
    """Vision transformer with a class token.

    Args:
        size: height and width of the images in pixels; a multiple of `patch`.
        patch: height and width of a patch in pixels.
        width: length of a token's vector.
        depth: number of blocks.
        heads: number of attention heads; divides `width`.
        mlp_ratio: width of a block's hidden layer, over `width`.
        activation: gelu, gelu_tanh, or quick_gelu as in OpenAI's weights.
        norm_before: a norm before the first block, as CLIP has it.
        patch_bias: whether the map of the patches has a bias; CLIP's has none.
        eps: of the norms.
    """

    def __init__(
        self,
        size: int = 224,
        patch: int = 32,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        mlp_ratio: float = 4.0,
        activation: str = "gelu",
        norm_before: bool = True,
        patch_bias: bool = False,
        eps: float = 1e-5,
    ):
        super().__init__()
        if size % patch or width % heads:
            raise ValueError(f"size {size} must be a multiple of patch {patch}, and width {width} of heads {heads}")
        self.size, self.patch, self.width, self.depth, self.heads = size, patch, width, depth, heads
        self.mlp_ratio, self.activation, self.eps = mlp_ratio, activation, eps
        self.norm_before, self.patch_bias = norm_before, patch_bias
        self.token_width = width
        self.patches = nn.Linear(3 * patch * patch, width, bias=patch_bias)
        self.class_token = nn.Parameter(torch.randn(width) * width**-0.5)
        self.positions = nn.Parameter(torch.randn((size // patch) ** 2 + 1, width) * width**-0.5)
        self.first_norm = nn.LayerNorm(width, eps) if norm_before else nn.Identity()
        self.transformer = Transformer(width, depth, heads, mlp_ratio, activation_named(activation), eps)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Features:
        """Normalised pixels to one vector an image and one a patch."""
        b, side, p = x.shape[0], self.size // self.patch, self.patch
        if x.shape[2:] != (self.size, self.size):
            raise ValueError(
                f"this ViT reads images of {self.size} x {self.size} pixels, not {x.shape[2]} x {x.shape[3]}"
            )
        patches = self.patches(x.reshape(b, 3, side, p, side, p).permute(0, 2, 4, 1, 3, 5).reshape(b, side * side, -1))
        start = self.class_token.to(patches.dtype).expand(b, 1, -1)
        frame = self.first_norm(torch.cat([start, patches], 1) + self.positions)
        layout = Layout(b, side * side + 1)
        tokens = layout.spread(self.transformer(frame.flatten(0, 1), layout))
        return Features(tokens[:, 0], tokens[:, 1:], grid=(side, side))
