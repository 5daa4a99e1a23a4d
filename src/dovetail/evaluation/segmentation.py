"""Segmentation from patches, without training for it: by what they are most like, or by which lie together.

Ranasinghe et al., "Perceptual Grouping in Contrastive Vision-Language Models", 2023.

    top-down:   class of a pixel = argmax_c  sum_p  w_p <v_p, t_c>,    w: bilinear weights of the patches around it
    bottom-up:  k-means of an image's patches;   Jaccard of a thing = max over groups |group & thing| / |group | thing|

v: unit vectors of the patches, t: of the classes. Top-down as in the public reimplementation of one of the authors; how
the paper matches groups to things could not be read, the best of them is what DINO's evaluation takes.
"""

import torch
from jaxtyping import Bool, Float, Int
from sklearn.cluster import KMeans
from torch import Tensor
from torch.nn import functional as F

from dovetail.contracts import Features
from dovetail.data.records import DataError
from dovetail.ops.similarity import normalize


def class_maps(images: Features, classes: Float[Tensor, "c d"], size: int) -> Int[Tensor, "b h w"]:
    """The class of every pixel of pictures of `size` x `size`. Raises DataError for tokens that form no picture."""
    alike = normalize(patches_of(images)) @ normalize(classes).T  # (b rows cols c)
    maps = F.interpolate(alike.permute(0, 3, 1, 2), (size, size), mode="bilinear", align_corners=False)
    return maps.argmax(1)


def group_maps(images: Features, counts: list[int], size: int) -> Int[Tensor, "b h w"]:
    """The group of every pixel, of `counts[i]` groups in image i. Raises DataError for tokens that form no picture."""
    patches = normalize(patches_of(images))
    rows, cols = patches.shape[1:3]
    found = []
    for image, count in zip(patches.flatten(1, 2).double().cpu().numpy(), counts, strict=True):
        labels = KMeans(min(count, len(image)), n_init=10, random_state=0).fit_predict(image)
        found.append(torch.from_numpy(labels).view(1, rows, cols))
    return F.interpolate(torch.stack(found).double(), (size, size), mode="nearest")[:, 0].long()


def patches_of(images: Features) -> Float[Tensor, "b rows cols d"]:
    """The tokens as they lie in the picture. Raises DataError for tokens that form none."""
    if images.tokens is None or images.grid is None:
        raise DataError("this image tower has no patches that form a picture; segment with one that has, such as vit")
    return images.tokens.unflatten(1, images.grid)


def overlaps(
    predicted: Int[Tensor, "h w"], true: Int[Tensor, "h w"], classes: int, counted: Bool[Tensor, "h w"]
) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
    """How many of the counted pixels are of each class in both maps, and in either."""
    p, t = (F.one_hot(x[counted], classes).bool() for x in (predicted, true))
    return (p & t).sum(0).double(), (p | t).sum(0).double()


def jaccard(groups: Int[Tensor, "h w"], things: Int[Tensor, "h w"]) -> Float[Tensor, " k"]:
    """Of every thing (a number above 0 in `things`) the overlap with the group that covers it best."""
    held = [things == thing for thing in things.unique().tolist() if thing > 0]
    sought = [groups == group for group in groups.unique().tolist()]
    best = [max(float((t & g).sum() / (t | g).sum()) for g in sought) for t in held]
    return torch.tensor(best, dtype=torch.float64)
