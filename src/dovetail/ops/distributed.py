"""What the processes of a run hold, brought together: joined, with gradients; in turn; or summed.

Inside `within` all of this happens among a few of the processes, as if there were no others.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional as F

from dovetail.contracts import Features

_group: ContextVar[Any] = ContextVar("_group", default=None)  # of torch.distributed; None: all processes


@contextmanager
def within(size: int) -> Iterator[None]:
    """Inside, this process works with the `size` - 1 others of its group alone: ranks 0 to size - 1 are the first one.

    What was gathered inside sends its gradients back within the group, wherever the backward pass is run. With no more
    processes than `size` all are one group. All processes must enter together; groups within groups there are not.
    Raises ValueError for groups that would not be of equal size.
    """
    if world_size() <= max(1, size):
        yield
        return
    if size < 1 or world_size() % size:
        raise ValueError(f"{world_size()} processes are no groups of {size}; give a number that divides them")
    token = _group.set(_group_of(size, dist.group.WORLD))
    try:
        yield
    finally:
        _group.reset(token)


@cache
def _group_of(size: int, everyone: Any) -> Any:
    """This process's group; made once for each set of processes, as all must take part in making it."""
    return dist.new_subgroups(size, group=everyone)[0]


def world_size() -> int:
    """The number of processes that train together; 1 outside torch.distributed."""
    return dist.get_world_size(_group.get()) if dist.is_available() and dist.is_initialized() else 1


class _Gather(torch.autograd.Function):
    """Joins blocks of the same shape along a new first axis; the backward pass sums what all processes send back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        blocks = [torch.empty_like(x) for _ in range(world_size())]
        group = _group.get()
        dist.all_gather(blocks, x.contiguous(), group)
        if ctx is not None:
            ctx.group = group
        return torch.stack(blocks)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].contiguous()
        dist.all_reduce(total, group=ctx.group)
        return total[dist.get_rank(ctx.group)]


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
    dist.all_gather_object(shapes, [None if x is None else tuple(x.shape) for x in tensors], _group.get())
    for rank in range(world_size()):
        mine = rank == this_process()
        held = [
            None if x is None else (x if mine else x.new_empty(s)) for x, s in zip(tensors, shapes[rank], strict=True)
        ]
        yield [None if x is None else _sent(x, rank) for x in held]


def _sent(x: Tensor, rank: int) -> Tensor:
    carried = x.contiguous().byte() if x.dtype == torch.bool else x.contiguous()
    dist.broadcast(carried, _of_all(rank), _group.get())
    return carried.to(x.dtype)


def add_over_processes(x: Shaped[Tensor, "..."]) -> None:
    """Makes x, of the same shape in all processes, the sum of all."""
    if world_size() > 1:
        dist.all_reduce(x, group=_group.get())


def add_to_process(x: Shaped[Tensor, "..."], rank: int) -> bool:
    """Makes x the sum over all processes in the process `rank`, and undefined elsewhere. Whether this is the one."""
    if world_size() > 1:
        dist.reduce(x, _of_all(rank), group=_group.get())
        return this_process() == rank
    return True


def joined_logsumexp(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """log(exp(x_1) + exp(x_2) + ...), elementwise over the processes' x."""
    if world_size() == 1:
        return x
    highest = x.clone()
    dist.all_reduce(highest, dist.ReduceOp.MAX, _group.get())
    total = (x - highest).exp()
    dist.all_reduce(total, group=_group.get())
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
    dist.all_gather(sizes, mine, _group.get())
    return [int(s) for s in sizes]


def this_process() -> int:
    """The number of this process among those that work together, from 0."""
    return dist.get_rank(_group.get()) if world_size() > 1 else 0


def _of_all(rank: int) -> int:
    """The number among all processes of the one that is number `rank` of this group."""
    group = _group.get()
    return rank if group is None else dist.get_global_rank(group, rank)


def gather_objects(x: Any) -> list[Any]:
    """What every process has to say, in rank order: small things that are no tensors. Waits for all."""
    if world_size() == 1:
        return [x]
    found: list[Any] = [None] * world_size()
    dist.all_gather_object(found, x, _group.get())
    return found


def wait_for_all() -> None:
    """Returns when all processes have come here."""
    if world_size() > 1:
        dist.barrier(_group.get())
