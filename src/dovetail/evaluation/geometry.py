"""The shape of the space that embeddings fill: modality gap, alignment and uniformity, all on the unit sphere.

Liang et al., "Mind the Gap: Understanding the Modality Gap in Multi-modal Contrastive Representation Learning", 2022.
Wang & Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the
Hypersphere", 2020.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from dovetail.ops.similarity import normalize

CELLS = 1 << 23  # distances held at once: 32 MiB in float32


def modality_gap(images: Float[Tensor, "b d"], texts: Float[Tensor, "t d"]) -> float:
    """Distance between the mean image and the mean text embedding: 0 (they mix) to 2 (opposite points)."""
    return float((normalize(images).double().mean(0) - normalize(texts).double().mean(0)).norm())


def alignment(images: Float[Tensor, "n d"], texts: Float[Tensor, "n d"]) -> float:
    """Mean squared distance of the n pairs, row i with row i: 0 (they coincide) to 4; 2 for unrelated directions.

    Images with several captions are given once for each of them: `alignment(images[owner], texts)`.
    """
    return float((normalize(images) - normalize(texts)).double().square().sum(1).mean())


def uniformity(x: Float[Tensor, "n d"], t: float = 2.0, cells: int = CELLS) -> float:
    """log of the mean of exp(-t |x_i - x_j|^2) over the pairs i < j: 0 for a single point; lower is more even.

    At most `cells` distances are held at once. Raises ValueError for fewer than two embeddings.
    """
    n = len(x)
    if n < 2:
        raise ValueError(f"uniformity needs at least two embeddings, there are {n}")
    unit = normalize(x.float())
    step = max(1, cells // n)
    total = 0.0
    for start in range(0, n - 1, step):
        rows = unit[start : start + step]
        squared = (2 - 2 * rows @ unit[start:].T).clamp(min=0)
        total += float((-t * squared).exp().triu(1).sum(dtype=torch.float64))
    return math.log(total / (n * (n - 1) / 2))
