"""Modified ResNet: the convolutional image tower of CLIP, whose last map of features is pooled by attention.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021.

    x = ResNet(image);   tokens = Attention([mean(x); x] + positions);   pooled = the mean's token

Shapes: images (b 3 s s) -> pooled (b d), tokens (b (s/32)^2 d). Differs from a usual ResNet in three convolutions
before the first block, in averaging before it strides (Zhang, 2019), and in the pooling, which is also the map into the
shared space. Equal to open_clip's and OpenAI's RN50 and its larger kin.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features
from dovetail.ops.attention import attend

EXPANSION, STRIDE = 4, 32


class _Bottleneck(nn.Module):
    """Three convolutions whose result is added to what came in."""

    def __init__(self, width: int, inner: int, stride: int):
        super().__init__()
        out = EXPANSION * inner
        self.conv1, self.bn1 = nn.Conv2d(width, inner, 1, bias=False), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = nn.Conv2d(inner, inner, 3, padding=1, bias=False), nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = nn.Conv2d(inner, out, 1, bias=False), nn.BatchNorm2d(out)
        self.mean: nn.Module = nn.Identity() if stride == 1 else nn.AvgPool2d(stride)
        fits = stride == 1 and width == out
        self.shortcut = None if fits else nn.Conv2d(width, out, 1, bias=False)
        self.shortcut_bn = None if fits else nn.BatchNorm2d(out)
        nn.init.zeros_(self.bn3.weight)  # a block begins as the identity

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b e k l"]:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn3(self.conv3(self.mean(self.bn2(self.conv2(y)).relu())))
        if self.shortcut is not None and self.shortcut_bn is not None:
            x = self.shortcut_bn(self.shortcut(self.mean(x)))
        return (y + x).relu()


@implements(Encoder)
class ModifiedResNet(nn.Module):
    """ResNet with attention pooling.

    Args:
        size: height and width of the images in pixels; a multiple of 32.
        layers: number of blocks in each of the four stages.
        inner: number of channels of the first stage; the pooling's tokens have 32 times as many.
        heads: number of the pooling's attention heads.
        width: length of the pooled vector.
    """

    def __init__(
        self,
        size: int = 224,
        layers: Sequence[int] = (3, 4, 6, 3),
        inner: int = 64,
        heads: int = 32,
        width: int = 1024,
    ):
        super().__init__()
        last = 8 * EXPANSION * inner
        if size % STRIDE or last % heads:
            raise ValueError(f"size {size} must be a multiple of {STRIDE}, and {last} channels of heads {heads}")
        self.size, self.layers, self.inner, self.heads, self.width = size, layers, inner, heads, width
        self.token_width = width
        half = inner // 2
        self.conv1, self.bn1 = nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(half)
        self.conv2, self.bn2 = nn.Conv2d(half, half, 3, padding=1, bias=False), nn.BatchNorm2d(half)
        self.conv3, self.bn3 = nn.Conv2d(half, inner, 3, padding=1, bias=False), nn.BatchNorm2d(inner)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            _stage(inner if i == 0 else 2**i * 2 * inner, 2**i * inner, count, 1 if i == 0 else 2)
            for i, count in enumerate(layers)
        )
        self.positions = nn.Parameter(torch.randn((size // STRIDE) ** 2 + 1, last) * last**-0.5)
        self.query, self.key, self.value = (nn.Linear(last, last) for _ in range(3))
        self.collect = nn.Linear(last, width)
        for linear in (self.query, self.key, self.value, self.collect):
            nn.init.normal_(linear.weight, std=last**-0.5)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Features:
        """Normalised pixels to one vector an image and one a place of the last layer."""
        if x.shape[2:] != (self.size, self.size):
            raise ValueError(
                f"this ResNet reads images of {self.size} x {self.size} pixels, not {x.shape[2]} x {x.shape[3]}"
            )
        for conv, norm in ((self.conv1, self.bn1), (self.conv2, self.bn2), (self.conv3, self.bn3)):
            x = norm(conv(x)).relu()
        x = nn.functional.avg_pool2d(x, 2)
        places = self.layer4(self.layer3(self.layer2(self.layer1(x)))).flatten(2).transpose(1, 2)
        frame = torch.cat([places.mean(1, keepdim=True), places], 1) + self.positions
        q, k, v = (
            linear(frame).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for linear in (self.query, self.key, self.value)
        )
        tokens = self.collect(attend(q, k, v).transpose(1, 2).flatten(2))
        side = self.size // STRIDE
        return Features(tokens[:, 0], tokens[:, 1:], grid=(side, side))


def _stage(width: int, inner: int, count: int, stride: int) -> nn.Sequential:
    """`count` blocks, of which the first strides."""
    rest = [_Bottleneck(EXPANSION * inner, inner, 1) for _ in range(count - 1)]
    return nn.Sequential(_Bottleneck(width, inner, stride), *rest)
