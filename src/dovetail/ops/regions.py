"""Regions of a batch's images: what there is of them, where they lie, and the patches within."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchvision.ops import roi_align

from dovetail.contracts import Batch, Features, Regions, Tokens
from dovetail.ops.features import wide

SAMPLES = 4  # along each side of a box


def regions_of(batch: Batch) -> Regions:
    """The regions of a batch; none where it has no such field, as a batch of images without regions."""
    if batch.regions is not None:
        return batch.regions
    texts = batch.captions.tokens
    boxes = torch.zeros(0, 4, device=batch.ids.device)
    return Regions(boxes, batch.ids[:0], Tokens(texts.ids[:0], texts.mask[:0]))


def places(owner: Int[Tensor, " r"]) -> Int[Tensor, " r"]:
    """Which of its image's regions each one is: 0, 1, ..."""
    order = owner.argsort(stable=True)
    first = torch.searchsorted(owner[order], owner[order])
    return torch.empty_like(owner).index_copy(0, order, torch.arange(len(owner), device=owner.device) - first)


def framed(
    values: Float[Tensor, "r d"], owner: Int[Tensor, " r"], count: int
) -> tuple[Float[Tensor, "b m d"], Bool[Tensor, "b m"]]:
    """What is said of regions, image by image, padded with zeros to the most regions of one; and which are real."""
    at = places(owner)
    most = int(at.max()) + 1 if len(at) else 0
    frame = values.new_zeros(count, most, values.shape[1]).index_put((owner, at), values)
    real = torch.zeros(count, most, dtype=torch.bool, device=owner.device).index_put((owner, at), at >= 0)
    return frame, real


def pooled(features: Features, boxes: Float[Tensor, "r 4"], owner: Int[Tensor, " r"]) -> Float[Tensor, "r e"]:
    """The mean of the patches within each box, which need not follow their edges: He et al., "Mask R-CNN", 2017.

    boxes: corners, as fractions of the picture. Raises ValueError for tokens that are no grid of patches.
    """
    tokens, grid = features.tokens, features.grid
    if tokens is None or grid is None or tokens.shape[1] != grid[0] * grid[1]:
        got = "no tokens" if tokens is None else f"{tokens.shape[1]} tokens and grid={grid}"
        raise ValueError(f"regions are pooled from a grid of patches, one token each; the image tower gives {got}")
    rows, cols = grid
    picture = wide(tokens).mT.unflatten(2, grid)
    scaled = boxes.to(picture.dtype) * picture.new_tensor([cols, rows, cols, rows])
    boxed = torch.cat([owner[:, None].to(scaled.dtype), scaled], 1)
    with torch.autocast(tokens.device.type, enabled=False):
        found: Tensor = roi_align(picture, boxed, 1, sampling_ratio=SAMPLES, aligned=True)
    return found[:, :, 0, 0]
