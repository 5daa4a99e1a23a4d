"""CoCa ViT: the image tower of CoCa, in which learnt queries gather the patches and the first is the image's vector.

Yu et al., "CoCa: Contrastive Captioners are Image-Text Foundation Models", 2022.

    z = Norm(Attention(Norm(queries), Norm(Transformer(Norm([class; W_p patches] + positions)))));   pooled = z_1

Shapes: images (b 3 s s) -> pooled (b d), tokens (b q-1 d), the other queries', which the captions are written from.
Differs from `clip_vit` in that pooling. Equal to open_clip's, whose captioning decoder is no part of it.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features
from dovetail.nn.transformer import Layout, Transformer, activation_named
from dovetail.ops.attention import attend


@implements(Encoder)
class CocaViT(nn.Module):
    """Vision transformer with a class token, pooled by several queries.

    Args:
        size: height and width of the images in pixels; a multiple of `patch`.
        patch: height and width of a patch in pixels.
        inner: length of a patch's vector.
        depth: number of blocks.
        heads: number of attention heads; divides `inner`.
        mlp_ratio: width of a block's hidden layer, over `inner`.
        activation: gelu, gelu_tanh or quick_gelu.
        norm_before: a norm before the first block.
        eps: of the norms, but for the pooling's, whose eps is 1e-5.
        queries: number of queries.
        pool_heads: number of the pooling's attention heads; divides `width`.
        width: length of a query's and of the pooled vector.
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
        queries: int = 256,
        pool_heads: int = 8,
        width: int = 512,
    ):
        super().__init__()
        if size % patch or inner % heads or width % pool_heads:
            raise ValueError(
                f"size {size} must be a multiple of patch {patch}, width {inner} of heads {heads} and width {width} of "
                f"the pooling's heads {pool_heads}"
            )
        self.size, self.patch, self.inner, self.depth, self.heads = size, patch, inner, depth, heads
        self.mlp_ratio, self.activation, self.norm_before, self.eps = mlp_ratio, activation, norm_before, eps
        self.queries, self.pool_heads, self.width, self.token_width = queries, pool_heads, width, width
        self.patches = nn.Linear(3 * patch * patch, inner, bias=False)
        self.class_token = nn.Parameter(torch.randn(inner) * inner**-0.5)
        self.positions = nn.Parameter(torch.randn((size // patch) ** 2 + 1, inner) * inner**-0.5)
        self.first_norm = nn.LayerNorm(inner, eps) if norm_before else nn.Identity()
        self.transformer = Transformer(inner, depth, heads, mlp_ratio, activation_named(activation), eps)
        self.transformer.norm = nn.LayerNorm(inner)  # of the keys
        self.probes = nn.Parameter(torch.randn(queries, width))
        self.norm_probes = nn.LayerNorm(width)
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(inner, width), nn.Linear(inner, width)
        self.collect = nn.Linear(width, width)
        self.last_norm = nn.LayerNorm(width, eps)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Features:
        """Normalised pixels to one vector an image and one a query but for the first."""
        b, side, p = x.shape[0], self.size // self.patch, self.patch
        if x.shape[2:] != (self.size, self.size):
            raise ValueError(
                f"this ViT reads images of {self.size} x {self.size} pixels, not {x.shape[2]} x {x.shape[3]}"
            )
        patches = self.patches(x.reshape(b, 3, side, p, side, p).permute(0, 2, 4, 1, 3, 5).reshape(b, side * side, -1))
        start = self.class_token.to(patches.dtype).expand(b, 1, -1)
        frame = self.first_norm(torch.cat([start, patches], 1) + self.positions)
        layout = Layout(b, side * side + 1)
        gathered = self._gathered(layout.spread(self.transformer(frame.flatten(0, 1), layout)))
        return Features(gathered[:, 0], gathered[:, 1:])

    def _gathered(self, tokens: Float[Tensor, "b n e"]) -> Float[Tensor, "b q d"]:
        """What each query found among an image's tokens."""
        b = tokens.shape[0]
        asked = self.query(self.norm_probes(self.probes)).expand(b, -1, -1)
        q, k, v = (
            y.unflatten(-1, (self.pool_heads, -1)).transpose(1, 2)
            for y in (asked, self.key(tokens), self.value(tokens))
        )
        return self.last_norm(self.collect(attend(q, k, v).transpose(1, 2).flatten(2)))
