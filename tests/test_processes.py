"""The helper for tests of several processes reports what happens in them."""

import os
import time

import pytest
import torch
import torch.distributed as dist

from tests.processes import run


def _total(rank: int, shares: list[float]) -> torch.Tensor:
    x = torch.tensor(shares[rank])
    dist.all_reduce(x)
    return x


def _fails_in_one(rank: int) -> None:
    if rank == 1:
        raise ValueError("the second of them")
    dist.barrier()


def _dies(rank: int) -> None:
    os._exit(3)


def _sleeps(rank: int) -> None:
    time.sleep(60)


def test_results_come_in_rank_order_and_are_joined() -> None:
    assert [float(x) for x in run(_total, 3, [1.0, 2.0, 4.0])] == [7.0, 7.0, 7.0]


def test_failures_are_told() -> None:
    with pytest.raises(AssertionError, match=r"process 1 failed(.|\n)*ValueError: the second of them"):
        run(_fails_in_one, 2)
    with pytest.raises(AssertionError, match="process 0 died"):
        run(_dies, 1)
    with pytest.raises(AssertionError, match="did not finish in time"):
        run(_sleeps, 1, timeout=3)
