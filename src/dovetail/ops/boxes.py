"""Boxes in their two forms, how well they overlap, and places as vectors.

Rezatofighi et al., "Generalized Intersection over Union: A Metric and A Loss for Bounding Box Regression", 2019:

    GIoU = |A and B| / |A or B|  -  |hull minus (A or B)| / |hull|,    from -1 (far apart) to 1 (the same)

Corners: left, top, right, bottom; centred: the middle's x and y, width, height; as fractions of the picture.
"""

import torch
from jaxtyping import Float
from torch import Tensor

SLOWEST = 10_000.0  # the longest of the waves, in pictures


def centred(corners: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 4"]:
    """Boxes given by their corners, by their middle and size."""
    first, last = corners.chunk(2, -1)
    return torch.cat([(first + last) / 2, last - first], -1)


def corners(centred: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 4"]:
    """Boxes given by their middle and size, by their corners."""
    middle, size = centred.chunk(2, -1)
    return torch.cat([middle - size / 2, middle + size / 2], -1)


def giou(a: Float[Tensor, "... 4"], b: Float[Tensor, "... 4"]) -> Float[Tensor, "..."]:
    """The generalised overlap of boxes given by their corners; shapes are broadcast. A box of no size overlaps none."""
    least = torch.finfo(a.dtype).tiny
    (a0, a1), (b0, b1) = a.chunk(2, -1), b.chunk(2, -1)
    shared = (torch.minimum(a1, b1) - torch.maximum(a0, b0)).clamp_min(0).prod(-1)
    either = (a1 - a0).prod(-1) + (b1 - b0).prod(-1) - shared
    hull = (torch.maximum(a1, b1) - torch.minimum(a0, b0)).prod(-1)
    return shared / either.clamp_min(least) - (hull - either) / hull.clamp_min(least)


def waves(points: Float[Tensor, "n 2"], width: int) -> Float[Tensor, "n d"]:
    """Places as vectors of `width` numbers: sines and cosines of x and of y, of ever slower waves, zeros at the end
    where the width is no multiple of 4 (Vaswani et al., "Attention Is All You Need", 2017, in two dimensions)."""
    count = width // 4
    speed = SLOWEST ** (-torch.arange(count, dtype=points.dtype, device=points.device) / max(1, count))
    angles = (2 * torch.pi * points[:, :, None] * speed).flatten(1)
    return torch.nn.functional.pad(torch.cat([angles.sin(), angles.cos()], 1), (0, width - 4 * count))
