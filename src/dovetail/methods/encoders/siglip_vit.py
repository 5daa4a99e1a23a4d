"""SigLIP ViT: the image tower of SigLIP, in which a learnt query gathers the patches into the image's vector.

Zhai et al., "Sigmoid Loss for Language Image Pre-Training", 2023.

    tokens = Transformer(W_p patches + b + positions);   z = Attention(query, tokens);   pooled = z + MLP(Norm(z))

Shapes: images (b 3 s s) -> pooled (b d), tokens (b (s/p)^2 d). Differs from `clip_vit` in the pooling, for which that
has a class token, in having no norm before the first block, and from `vit` in the pooling alone, which there is the
mean. Equal to transformers', whose weights `models.siglip_weights` renames. Its pooled vector is the embedding: SigLIP
has no linear map after it.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features
from dovetail.nn.pooling import AttentionPooling
from dovetail.nn.transformer import Layout, Transformer, activation_named


@implements(Encoder)
class SiglipViT(nn.Module):
    """Vision transformer with attention pooling.

    Args:
        size: height and width of the images in pixels; what a last, incomplete patch would cover is not looked at.
        patch: height and width of a patch in pixels.
        width: length of a token's vector, and of the pooled one.
        depth: number of blocks.
        heads: number of attention heads; divides `width`.
        mlp_ratio: width of the hidden layers, over `width`.
        activation: gelu, gelu_tanh as in SigLIP's weights, or quick_gelu.
        eps: of the norms.
    """

    def __init__(
        self,
        size: int = 224,
        patch: int = 16,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        mlp_ratio: float = 4.0,
        activation: str = "gelu_tanh",
        eps: float = 1e-6,
    ):
        super().__init__()
        if size < patch or width % heads:
            raise ValueError(
                f"size {size} must hold a patch of {patch}, and width {width} be a multiple of {heads} heads"
            )
        self.size, self.patch, self.width, self.depth, self.heads = size, patch, width, depth, heads
        self.mlp_ratio, self.activation, self.eps = mlp_ratio, activation, eps
        self.token_width = width
        self.patches = nn.Linear(3 * patch * patch, width)
        self.positions = nn.Parameter(torch.randn((size // patch) ** 2, width) * width**-0.5)
        function = activation_named(activation)
        self.transformer = Transformer(width, depth, heads, mlp_ratio, function, eps)
        self.pool = AttentionPooling(width, heads, mlp_ratio, function, eps)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Features:
        """Normalised pixels to one vector an image and one a patch."""
        b, side, p = x.shape[0], self.size // self.patch, self.patch
        if x.shape[2:] != (self.size, self.size):
            raise ValueError(
                f"this ViT reads images of {self.size} x {self.size} pixels, not {x.shape[2]} x {x.shape[3]}"
            )
        whole = x[..., : side * p, : side * p].reshape(b, 3, side, p, side, p)
        patches = self.patches(whole.permute(0, 2, 4, 1, 3, 5).reshape(b, side * side, -1)) + self.positions
        layout = Layout(b, side * side)
        tokens = layout.spread(self.transformer(patches.flatten(0, 1), layout))
        return Features(self.pool(tokens), tokens, grid=(side, side))
