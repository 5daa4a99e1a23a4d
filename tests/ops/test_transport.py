"""Even sharing against the definition in loops, in one process and in two."""

import math

import pytest
import torch
from torch import Tensor

from dovetail.ops.transport import shared_out
from tests.processes import run


def _defined(scores: list[list[float]], epsilon: float, rounds: int) -> list[list[float]]:
    q = [[math.exp(s / epsilon) for s in row] for row in scores]
    for _ in range(rounds):
        sums = [sum(row[k] for row in q) for k in range(len(q[0]))]
        q = [[v / sums[k] for k, v in enumerate(row)] for row in q]
        q = [[v / sum(row) for v in row] for row in q]
    return q


def test_oracle() -> None:
    scores = torch.rand(7, 3, dtype=torch.float64)
    found = shared_out(scores, 0.1, 4)
    for row, wanted in zip(found.tolist(), _defined(scores.tolist(), 0.1, 4), strict=True):
        assert row == pytest.approx(wanted, abs=1e-12)


def test_every_place_gets_as_much() -> None:
    found = shared_out(torch.randn(60, 4), 0.5, 50)
    torch.testing.assert_close(found.sum(0), torch.full((4,), 15.0), atol=1e-3, rtol=0)
    torch.testing.assert_close(found.sum(1), torch.ones(60))


def test_sharp_scores_stay_finite() -> None:
    assert shared_out(torch.randn(5, 3) * 100, 0.01, 3).isfinite().all()


def _part(rank: int, scores: Tensor) -> Tensor:
    return shared_out(scores[:2] if rank == 0 else scores[2:])


def test_two_processes_share_as_one() -> None:
    scores = torch.randn(7, 3, dtype=torch.float64)
    torch.testing.assert_close(torch.cat(run(_part, 2, scores)), shared_out(scores))
