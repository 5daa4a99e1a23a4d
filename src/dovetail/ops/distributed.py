"""What the processes of a run hold, brought together: joined, with gradients; in turn; or summed."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional as F

from dovetail.contracts import Features


def world_size() -> int:
    """The number of processes that train together; 1 outside torch.distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


class _Gather(torch.autograd.Function):
    """Joins blocks of the same shape along a new first axis; the backward pass sums what all processes send back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        blocks = [torch.empty_like(x) for _ in range(world_size())]
        dist.all_gather(blocks, x.contiguous())
        return torch.stack(blocks)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].contiguous()
        dist.all_reduce(total)
        return total[dist.get_rank()]


def gather(x: Shaped[Tensor, "n ..."]) -> Shaped[Tensor, "m ..."]:
    """The rows of all processes in rank order; their numbers of rows may differ. Gradients are summed over
    processes."""
    if world_size() == 1:
        return x
    sizes = _all_sizes(x.shape[0], x.device)
    longest = max(sizes)
    padded = F.pad(x, (0, 0) * (x.ndim - 1) + (0, longest - x.shape[0]))
    blocks = _Gather.apply(padded) if padded.is_floating_point() else _Gather.forward(None, padded)
    return torch.cat([block[:size] for block, size in zip(blocks, sizes, strict=True)])


def gather_features(features: Features, tokens: bool) -> Features:
    """The features of all processes: pooled vectors, and the tokens when `tokens` says that they are needed."""
    if world_size() == 1:
        return features
    pooled = gather(features.pooled)
    if not tokens or features.tokens is None:
        return Features(pooled, grid=features.grid)
    longest = max(_all_sizes(features.tokens.shape[1], features.tokens.device))
    missing = longest - features.tokens.shape[1]
    mask = features.mask if features.mask is not None else features.tokens.new_ones(features.tokens.shape[:2]).bool()
    joined = gather(F.pad(features.tokens, (0, 0, 0, missing)))
    return Features(pooled, joined, gather(F.pad(mask, (0, missing)).byte()).bool(), features.grid)


def each_process(tensors: Sequence[Tensor | None]) -> Iterator[list[Tensor | None]]:
    """These tensors of every process in rank order, one process's at a time; sizes may differ, what is None may not.

    No gradient flows. All processes must go through it together, to the end.
    """
    if world_size() == 1:
        yield list(tensors)
        return
    shapes: list[Any] = [None] * world_size()
    dist.all_gather_object(shapes, [None if x is None else tuple(x.shape) for x in tensors])
    for rank in range(world_size()):
        mine = rank == dist.get_rank()
        held = [
            None if x is None else (x if mine else x.new_empty(s)) for x, s in zip(tensors, shapes[rank], strict=True)
        ]
        yield [None if x is None else _sent(x, rank) for x in held]


def _sent(x: Tensor, rank: int) -> Tensor:
    carried = x.contiguous().byte() if x.dtype == torch.bool else x.contiguous()
    dist.broadcast(carried, rank)
    return carried.to(x.dtype)


def add_over_processes(x: Shaped[Tensor, "..."]) -> None:
    """Makes x, of the same shape in all processes, the sum of all."""
    if world_size() > 1:
        dist.all_reduce(x)


def add_to_process(x: Shaped[Tensor, "..."], rank: int) -> bool:
    """Makes x the sum over all processes in the process `rank`, and undefined elsewhere. Whether this is the one."""
    if world_size() > 1:
        dist.reduce(x, rank)
        return dist.get_rank() == rank
    return True


def joined_logsumexp(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """log(exp(x_1) + exp(x_2) + ...), elementwise over the processes' x."""
    if world_size() == 1:
        return x
    highest = x.clone()
    dist.all_reduce(highest, dist.ReduceOp.MAX)
    total = (x - highest).exp()
    dist.all_reduce(total)
    return highest + total.log()


def mean_over_processes(x: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
    """The mean of a detached figure over all processes, for logs."""
    return sum_over_processes(x) / world_size()


def sum_over_processes(x: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
    """The sum of a detached figure over all processes."""
    total = x.detach().clone()
    add_over_processes(total)
    return total


def _all_sizes(size: int, device: torch.device) -> list[int]:
    mine = torch.tensor([size], device=device)
    sizes = [torch.empty_like(mine) for _ in range(world_size())]
    dist.all_gather(sizes, mine)
    return [int(s) for s in sizes]


def this_process() -> int:
    """The number of this process among those that work together, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def gather_objects(x: Any) -> list[Any]:
    """What every process has to say, in rank order: small things that are no tensors. Waits for all."""
    if world_size() == 1:
        return [x]
    found: list[Any] = [None] * world_size()
    dist.all_gather_object(found, x)
    return found


def wait_for_all() -> None:
    """Returns when all processes have come here."""
    if world_size() > 1:
        dist.barrier()
