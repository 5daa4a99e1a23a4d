"""Perceptrons for self-supervision that normalise every hidden number over the batch of all processes.

Ioffe & Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift", 2015;
as projectors in Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", 2020, and Chen &
He, "Exploring Simple Siamese Representation Learning", 2021.

    x <- (x - mean_i x_i) / sqrt(mean_i (x_i - mean)^2 + eps) * weight + bias

They compare items, so they belong into an objective's `terms`. There are no running statistics: nothing but the
training asks these heads.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.ops.distributed import gather


class OverBatch(nn.Module):
    """Batch normalisation by the batch's own statistics, in training and evaluation alike."""

    def __init__(self, width: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        count = _total(x.new_full((1, 1), len(x)))
        centred = x - _total(x) / count
        variance = _total(centred.square()) / count
        return centred * (variance + self.eps).rsqrt() * self.weight + self.bias


def perceptron(widths: Sequence[int]) -> nn.Sequential:
    """Linear maps from each width to the next; between two of them a normalisation over the batch and a ReLU."""
    layers: list[nn.Module] = [nn.Linear(widths[0], widths[1])]
    for before, after in pairwise(widths[1:]):
        layers += [OverBatch(before), nn.ReLU(), nn.Linear(before, after)]
    return nn.Sequential(*layers)


def _total(x: Float[Tensor, "n d"]) -> Float[Tensor, "1 d"]:
    """The sum over the rows of all processes, with gradients."""
    return gather(x.sum(0, keepdim=True)).sum(0, keepdim=True)
