"""ViTamin: an image is read by convolutions while it is large, and by a transformer once it is small.

Chen et al., "ViTamin: Designing Scalable Vision Models in the Vision-Language Era", 2024.

    stem: two 3 x 3 convolutions, half the size;   stages 1 and 2: MBConv-LN blocks, half the size each;
    stage 3: a convolution, half the size, then a Transformer with GEGLU: W_2 (GELU(W_0 x) * W_1 x)
    MBConv-LN: x + 1x1(GELU(depthwise 3x3(GELU(1x1(Norm(x))))));   pooled = Norm(mean of the tokens)

Shapes: images (b 3 s s) -> pooled (b d), tokens (b (s/16)^2 d), which have the pooled vector's norm as well. The
network is timm's, with which the authors publish their weights: `timm(name='vitamin_small_224.datacomp1b_clip',
pretrained=True)` has those; this file is the network in any size from new ones. S: widths 64, 128, 384, heads 6, as
here; B: 128, 256, 768, heads 12; L: 160, 320, 1024, depths 2, 4, 31, heads 16.

The paper's tuning with a locked text tower is `dovetail train --model ... --tune lock-text`. Differs from `vit` in
that patches of 16 pixels come out of convolutions, which see across their edges.
"""

from collections.abc import Sequence
from typing import Any

import timm
import torch
from jaxtyping import Float
from timm.models.vitamin import VitCfg, VitConvCfg
from torch import Tensor, nn

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features

PATCH = 16  # four times half the size


@implements(Encoder)
class ViTamin(nn.Module):
    """Convolutional stages before a transformer.

    Args:
        size: height and width of the images in pixels; a multiple of 16.
        widths: channels of the two convolutional stages, and length of a token's vector.
        depths: number of blocks of the three stages.
        heads: number of attention heads; divides the last width.
        mlp_ratio: width of the transformer's hidden layers, over the last width.
    """

    def __init__(
        self,
        size: int = 224,
        widths: Sequence[int] = (64, 128, 384),
        depths: Sequence[int] = (2, 4, 14),
        heads: int = 6,
        mlp_ratio: float = 2.0,
    ):
        super().__init__()
        if size % PATCH or widths[2] % heads:
            raise ValueError(f"size {size} must be a multiple of {PATCH}, and width {widths[2]} of heads {heads}")
        self.size, self.widths, self.depths, self.heads = size, tuple(widths), tuple(depths), heads
        self.mlp_ratio, self.width, self.token_width = mlp_ratio, widths[2], widths[2]
        norm = VitConvCfg(norm_layer="layernorm2d", norm_eps=1e-6)
        stages = VitCfg(embed_dim=self.widths, depths=(*depths[:2], 1), stem_width=widths[0], conv_cfg=norm)
        body: Any = timm.create_model(
            "vitamin_small_224", num_classes=0, img_size=size, embed_cfg=stages, embed_dim=self.width,
            depth=depths[2], num_heads=heads, mlp_ratio=mlp_ratio,
        )  # fmt: skip
        self.body = body.to(memory_format=torch.channels_last)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Features:
        """Normalised pixels to one vector an image and one a patch."""
        if x.shape[2:] != (self.size, self.size):
            raise ValueError(f"reads images of {self.size} x {self.size} pixels, not {x.shape[2]} x {x.shape[3]}")
        tokens = self.body.forward_features(x.contiguous(memory_format=torch.channels_last))
        side = self.size // PATCH
        return Features(self.body.forward_head(tokens, pre_logits=True), self.body.fc_norm(tokens), grid=(side, side))
