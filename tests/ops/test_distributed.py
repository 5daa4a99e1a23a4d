"""The gather joins what several processes hold, whatever their shapes, and sends gradients back to their owners."""

from typing import Any

import torch
from torch import Tensor

from dovetail.contracts import Features
from dovetail.ops.distributed import (
    add_to_process,
    each_process,
    gather,
    gather_features,
    gather_objects,
    joined_logsumexp,
    mean_over_processes,
    sum_over_processes,
    this_process,
    wait_for_all,
    within,
    world_size,
)
from tests.processes import run

ROWS = (2, 0, 3)  # of each process
LENGTHS = (4, 2, 3)  # tokens of each process's items


def _rows(rank: int) -> Tensor:
    return torch.arange(2 * ROWS[rank], dtype=torch.float64).view(ROWS[rank], 2) + 100 * rank


def _features(rank: int) -> Features:
    n, length = ROWS[rank], LENGTHS[rank]
    mask = torch.ones(n, length, dtype=torch.bool)
    mask[:, -1] = rank != 0
    return Features(_rows(rank), torch.full((n, length, 1), 1.0 + rank), mask, grid=(1, 2))


def _joined(rank: int) -> dict[str, Any]:
    x = _rows(rank).requires_grad_()
    joined = gather(x)
    # Every process weighs the joined rows in its own way; each row's owner gets the sum of what all say.
    (joined * (rank + 1) * torch.arange(1, 6)[:, None]).sum().backward()
    features = gather_features(_features(rank), tokens=True)
    bare = gather_features(Features(_rows(rank), torch.ones(ROWS[rank], 2, 1)), tokens=True)
    return {
        "size": world_size(),
        "joined": joined.detach(),
        "gradient": x.grad,
        "whole numbers": gather(torch.full((ROWS[rank],), rank)),
        "truths": gather(torch.full((ROWS[rank], 1), rank == 0).byte()).bool(),
        "tokens": features.tokens,
        "mask": features.mask,
        "grid": features.grid,
        "mask of none": bare.mask,
        "without tokens": gather_features(_features(rank), tokens=False).tokens,
        "mean": mean_over_processes(torch.tensor(float(rank), requires_grad=True)),
        "sum": sum_over_processes(torch.tensor([1.0, rank])),
        "told": gather_objects({"number": this_process()}),
    }


def test_three_processes_see_the_same_whole() -> None:
    found = run(_joined, 3)
    whole = torch.cat([_rows(rank) for rank in range(3)])
    expected = (1 + 2 + 3) * torch.arange(1.0, 6.0, dtype=torch.float64)[:, None].expand(5, 2)
    for rank, f in enumerate(found):
        assert f["size"] == 3
        assert torch.equal(f["joined"], whole)
        assert torch.equal(f["gradient"], expected[sum(ROWS[:rank]) : sum(ROWS[: rank + 1])])
        assert f["whole numbers"].tolist() == [0, 0, 2, 2, 2]
        assert f["truths"].tolist() == [[True], [True], [False], [False], [False]]
        assert f["grid"] == (1, 2) and f["without tokens"] is None
        assert f["mean"] == 1.0 and not f["mean"].requires_grad
        assert f["sum"].tolist() == [3.0, 3.0]
        assert f["told"] == [{"number": 0}, {"number": 1}, {"number": 2}]


def test_tokens_of_different_lengths_are_padded_to_the_longest() -> None:
    for f in run(_joined, 3):
        assert f["tokens"].shape == (5, 4, 1)
        assert f["mask"].tolist() == [[True, True, True, False]] * 2 + [[True, True, True, False]] * 3
        assert f["tokens"][2:, :3].eq(3).all() and f["tokens"][2:, 3:].eq(0).all()
        assert f["mask of none"].all() and f["mask of none"].shape == (5, 2)


def test_one_process_needs_no_gather() -> None:
    x, f = torch.randn(2, 3, requires_grad=True), _features(0)
    wait_for_all()
    assert world_size() == 1 and this_process() == 0 and gather_objects(x) == [x]
    assert gather(x) is x and gather_features(f, tokens=True) is f
    assert torch.equal(sum_over_processes(x), x) and not mean_over_processes(x).requires_grad


def _in_groups(rank: int) -> dict[str, Any]:
    """Groups of two of four processes; the backward pass is run outside."""
    x = torch.arange(2.0)[:, None] + 10 * rank
    x.requires_grad_()
    found: dict[str, Any] = {}
    for _ in range(2):  # the groups are made once
        with within(2):
            joined = gather(x)
            total = torch.tensor([1.0, rank])
            found |= {
                "size": (world_size(), this_process()),
                "joined": joined.detach().flatten().tolist(),
                "in turn": [float(v.sum()) for (v,) in each_process([x.detach()]) if v is not None],
                "mean": float(mean_over_processes(torch.tensor(float(rank)))),
                "logsumexp": float(joined_logsumexp(torch.tensor(float(rank)))),
                "told": gather_objects(rank),
                "at second": total.tolist() if add_to_process(total, 1) else None,
            }
            wait_for_all()
    (joined * (rank + 1)).sum().backward()
    assert x.grad is not None
    with within(8):
        found["of fewer"] = world_size(), this_process()
    try:
        with within(3):
            pass
    except ValueError as error:
        found["wrong"] = str(error)
    return found | {"gradient": x.grad, "after": (world_size(), this_process())}


def test_within_a_group_there_are_no_others() -> None:
    for rank, f in enumerate(run(_in_groups, 4)):
        first, second = members = (0, 1) if rank < 2 else (2, 3)
        assert f["size"] == (2, rank % 2) and f["after"] == f["of fewer"] == (4, rank)
        assert f["joined"] == [10.0 * first, 10 * first + 1, 10 * second, 10 * second + 1]
        assert f["in turn"] == [20.0 * first + 1, 20.0 * second + 1] and f["told"] == [*members]
        assert f["mean"] == first + 0.5
        assert f["logsumexp"] == torch.tensor([float(first), second]).logsumexp(0)
        assert f["at second"] == ([2, first + second] if rank % 2 else None)
        assert f["gradient"].flatten().tolist() == [first + 1 + second + 1] * 2
        assert f["wrong"] == "4 processes are no groups of 3; give a number that divides them"


def test_a_single_process_is_a_group() -> None:
    with within(8):
        assert world_size() == 1
