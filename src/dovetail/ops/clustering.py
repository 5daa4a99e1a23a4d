"""Groups of vectors that lie together: k-means.

Lloyd, "Least squares quantization in PCM", 1982.

    label_i = argmin_k |x_i - c_k|^2,    c_k <- the mean of the vectors labelled k

It starts from k different vectors, drawn by the seed alone, and sums in an order of its own, so that the same vectors
give the same groups every time. A group that nobody joins keeps its centre.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

CELLS = 1 << 24  # distances held at once


@torch.no_grad()
def kmeans(
    x: Float[Tensor, "n d"], k: int, iterations: int = 20, seed: int = 0
) -> tuple[Float[Tensor, "k d"], Int[Tensor, " n"]]:
    """The k centres after so many steps, and the number of the one that each vector is nearest to.

    Raises ValueError for fewer vectors than centres.
    """
    if len(x) < k:
        raise ValueError(f"{len(x)} vectors do not make {k} groups; give at least as many")
    start = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:k]
    centres = x[start.to(x.device)]
    for _ in range(iterations):
        centres = means(x, nearest(x, centres), centres)
    return centres, nearest(x, centres)


@torch.no_grad()
def nearest(x: Float[Tensor, "n d"], centres: Float[Tensor, "k d"]) -> Int[Tensor, " n"]:
    """The number of the centre that each vector is nearest to, by Euclidean distance; of equals, the first."""
    lengths = centres.square().sum(1) / 2
    return torch.cat([(lengths - part @ centres.T).argmin(1) for part in x.split(max(1, CELLS // len(centres)))])


@torch.no_grad()
def means(x: Float[Tensor, "n d"], labels: Int[Tensor, " n"], without: Float[Tensor, "k d"]) -> Float[Tensor, "k d"]:
    """The mean of the vectors of each label; the row of `without` for a label that none has."""
    total, count = torch.zeros_like(without), without.new_zeros(len(without))
    for part, marks in _parts(x, labels, len(without)):  # a product, for sums by index come in any order on a GPU
        total += marks.T @ part
        count += marks.sum(0)
    return torch.where(count[:, None] > 0, total / count.clamp_min(1)[:, None], without)


def _parts(x: Tensor, labels: Tensor, k: int) -> Iterator[tuple[Tensor, Tensor]]:
    rows = max(1, CELLS // k)
    for part, some in zip(x.split(rows), labels.split(rows), strict=True):
        yield part, F.one_hot(some, k).to(x.dtype)
