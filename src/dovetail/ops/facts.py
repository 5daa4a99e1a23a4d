"""What is known of the rows and columns of a score matrix, while it is walked in tiles."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dovetail.ops.distributed import sum_over_processes


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


@dataclass(frozen=True)
class Own:
    """The p pairs of a tile that belong together: their rows and columns in it, and how much they do."""

    at: tuple[Int[Tensor, " p"], Int[Tensor, " p"]]
    targets: Float[Tensor, "p 1"]


def belonging(targets: Float[Tensor, "r c"] | None, dtype: torch.dtype) -> Own | None:
    """The pairs whose target is not 0; None when there is none."""
    if targets is None:
        return None
    row, col = targets.nonzero(as_tuple=True)
    return Own((row, col), targets[row, col][:, None].to(dtype))


def shares(weights: Float[Tensor, " n"], whole: float) -> Float[Tensor, "n 1"]:
    """Weights that sum to `whole` over all processes; to nothing, where all are 0."""
    every = sum_over_processes(weights.sum()).clamp_min(torch.finfo(weights.dtype).tiny)
    return (weights.detach() / every * whole)[:, None]


def logsumexp(x: Float[Tensor, "r c"], axis: int) -> Tensor:
    """Without torch's provision for infinities, which takes as long again. The axis is kept."""
    top = x.amax(axis, keepdim=True)
    return (x - top).exp_().sum(axis, keepdim=True).log_().add_(top)


def total(parts: Sequence[Tensor]) -> Tensor:
    """Their sum; itself, if there is one."""
    first, *others = parts
    for other in others:
        first = first + other
    return first
