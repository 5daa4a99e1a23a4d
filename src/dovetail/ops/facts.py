"""What is known of the rows and columns of a score matrix, while it is walked in tiles."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from dovetail.ops.distributed import sum_over_processes

FAINT = 1e-25  # sums of exponentials from here on are exact in float32, whose numbers end at 1e-38


@dataclass(frozen=True)
class Direction:
    """The rows, or the columns of all processes as rows of the other direction: weights, and what is known of them."""

    weights: Float[Tensor, "n 1"]
    total: Float[Tensor, "n 1"]  # of the targets
    statistics: list[Float[Tensor, "n 1"]]
    slopes: list[Float[Tensor, "n 1"]]  # of the value in each statistic

    @staticmethod
    def of(weights: Float[Tensor, "n 1"], statistics: int) -> "Direction":
        """Rows of which nothing is known yet."""
        # The lowest number, not -inf: a difference of infinities is none.
        lowest = [torch.full_like(weights, torch.finfo(weights.dtype).min) for _ in range(statistics)]
        return Direction(weights, torch.zeros_like(weights), lowest, [torch.zeros_like(weights) for _ in lowest])


def shares(weights: Float[Tensor, " n"], whole: float) -> Float[Tensor, "n 1"]:
    """Weights that sum to `whole` over all processes; to nothing, where all are 0."""
    every = sum_over_processes(weights.sum()).clamp_min(torch.finfo(weights.dtype).tiny)
    return (weights.detach() / every * whole)[:, None]


def logsumexp(x: Float[Tensor, "r c"], axes: Sequence[int]) -> list[Float[Tensor, "n 1"]]:
    """The log-sum-exp along each of the axes, without torch's provision for infinities, which takes as long again."""
    if len(axes) == 1:
        top = x.amax(axes[0], keepdim=True)
        return [(x - top).exp_().sum(axes[0], keepdim=True).log_().add_(top).view(-1, 1)]
    top = x.max()
    powers = (x - top).exp_()
    sums = [powers.sum(axis).view(-1, 1) for axis in axes]
    if min(float(s.min()) for s in sums) < FAINT:  # a row or column far below the rest, of which too little is left
        return [logsumexp(x, [axis])[0] for axis in axes]
    return [s.log_().add_(top) for s in sums]


def softmax(x: Float[Tensor, "r c"], statistics: Sequence[Tensor], slopes: Sequence[Tensor]) -> Float[Tensor, "r c"]:
    """The sum over one or two directions of exp(x - statistic) times slope, which fit beside x, as columns or rows."""
    if len(statistics) == 2:
        top = x.max()
        above = [top - s for s in statistics]
        if max(float(a.max()) for a in above) < -math.log(FAINT):
            first, second = (a.exp_() * slope for a, slope in zip(above, slopes, strict=True))
            return (x - top).exp_().mul_(first + second)
    return total([(x - s).exp_().mul_(slope) for s, slope in zip(statistics, slopes, strict=True)])


def total(parts: Sequence[Tensor]) -> Tensor:
    """Their sum; itself, if there is one."""
    first, *others = parts
    for other in others:
        first = first + other
    return first
