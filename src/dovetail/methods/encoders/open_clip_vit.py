"""OpenCLIP ViT: CLIP's image tower with the choices that its open reproductions tried.

Cherti et al., "Reproducible scaling laws for contrastive language-image learning", 2023.

    tokens = Norm(Transformer([class; W_p patches] + positions));   pooled = the class token's, or the patches' mean

Shapes: images (b 3 s s) -> pooled (b d), tokens (b (s/p)^2 d), without the class token. Differs from `clip_vit` in that
it may pool by the mean, before or after the last norm (CLIPA: Li et al., 2023), scale the branches of its blocks
(LayerScale: Touvron et al., 2021), and hold the linear map into the shared space itself. Equal to open_clip's.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features
from dovetail.nn.head import Head
from dovetail.nn.transformer import Layout, Transformer, activation_named, mean_pool

POOLS = ("class", "mean", "mean_norm")


@implements(Encoder)
class OpenClipViT(nn.Module):
    """Vision transformer with a class token and a choice of pooling.

    Args:
        size: height and width of the images in pixels; a multiple of `patch`.
        patch: height and width of a patch in pixels.
        inner: length of a token's vector.
        depth: number of blocks.
        heads: number of attention heads; divides `inner`.
        mlp_ratio: width of a block's hidden layer, over `inner`.
        activation: gelu, gelu_tanh or quick_gelu.
        norm_before: a norm before the first block.
        eps: of the norms.
        pool: class (the class token), mean (of the patches after the last norm) or mean_norm (the norm of their mean).
        layer_scale: where the factors of the blocks' branches start; None: without them.
        out: how many numbers a linear map of the pooled vector gives, and whether it has a bias; None: no such map.
    """

    def __init__(
        self,
        size: int = 224,
        patch: int = 32,
        inner: int = 768,
        depth: int = 12,
        heads: int = 12,
        mlp_ratio: float = 4.0,
        activation: str = "gelu",
        norm_before: bool = True,
        eps: float = 1e-5,
        pool: str = "class",
        layer_scale: float | None = None,
        out: Sequence[int] | None = None,
    ):
        super().__init__()
        if size % patch or inner % heads:
            raise ValueError(f"size {size} must be a multiple of patch {patch}, and width {inner} of heads {heads}")
        if pool not in POOLS:
            raise ValueError(f"pool must be one of {', '.join(POOLS)}, not {pool!r}")
        self.size, self.patch, self.inner, self.depth, self.heads = size, patch, inner, depth, heads
        self.mlp_ratio, self.activation, self.norm_before, self.eps = mlp_ratio, activation, norm_before, eps
        self.pool, self.layer_scale, self.out = pool, layer_scale, out
        self.patches = nn.Linear(3 * patch * patch, inner, bias=False)
        self.class_token = nn.Parameter(torch.randn(inner) * inner**-0.5)
        self.positions = nn.Parameter(torch.randn((size // patch) ** 2 + 1, inner) * inner**-0.5)
        self.first_norm = nn.LayerNorm(inner, eps) if norm_before else nn.Identity()
        function = activation_named(activation)
        self.transformer = Transformer(inner, depth, heads, mlp_ratio, function, eps, layer_scale)
        self.transformer.norm = nn.Identity()  # the last norm comes before or after the pooling
        self.last_norm = nn.LayerNorm(inner, eps)
        self.head = Head(inner, out)
        self.width, self.token_width = self.head.width, inner

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
        if self.pool == "mean_norm":
            return Features(self.head(self.last_norm(mean_pool(tokens[:, 1:]))), tokens[:, 1:], grid=(side, side))
        tokens = self.last_norm(tokens)
        pooled = tokens[:, 0] if self.pool == "class" else mean_pool(tokens[:, 1:])
        return Features(self.head(pooled), tokens[:, 1:], grid=(side, side))
