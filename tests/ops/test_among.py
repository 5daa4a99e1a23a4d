"""Things told apart from one another, against the definition in loops and over processes."""

import math

import pytest
import torch
from torch import Tensor

from dovetail.catalogue import build
from dovetail.contracts import Features, PairLoss, Similarity
from dovetail.ops.among import contrast_among
from dovetail.ops.sides import Side
from tests.processes import run

IDS, WEIGHTS, SCALE = [3, 4, 3, 5, 4, 5, 4], [1.0, 2.0, 1.0, 0.0, 0.5, 1.0, 1.0], 6.0


def _points() -> Tensor:
    return torch.linspace(0, 30, 7 * 3, dtype=torch.float64).view(7, 3).sin().requires_grad_()


def oracle(points: list[list[float]]) -> float:
    """Every thing of the same id against the things of other ids; the thing itself is nowhere."""
    unit = [[v / math.hypot(*p) for v in p] for p in points]
    total = 0.0
    for i, p in enumerate(unit):
        scores = [SCALE * sum(a * b for a, b in zip(p, q, strict=True)) for q in unit]
        same = [j for j in range(len(unit)) if IDS[j] == IDS[i] and j != i]
        other = sum(math.exp(s) for j, s in enumerate(scores) if IDS[j] != IDS[i])
        costs = [math.log(1 + other / math.exp(scores[j])) for j in same]
        total += WEIGHTS[i] * sum(costs) / len(costs)
    return total / sum(WEIGHTS)


def _value(points: Tensor, part: slice = slice(None)) -> Tensor:
    ids, weights = torch.tensor(IDS)[part], torch.tensor(WEIGHTS)[part]
    side = Side(Features(points[part]), ids, weights)
    return contrast_among(side, build("cosine", Similarity), build("infonce", PairLoss), points.new_tensor(SCALE))


def test_oracle() -> None:
    points = _points()
    found = _value(points)
    rows = points.tolist()
    assert found.item() == pytest.approx(oracle(rows), abs=1e-12)
    found.backward()
    assert points.grad is not None
    for i in range(7):
        for k in range(3):
            kept, ends = rows[i][k], []
            for step in (1e-6, -1e-6):
                rows[i][k] = kept + step
                ends.append(oracle(rows))
            rows[i][k] = kept
            assert float(points.grad[i, k]) == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-7)


def _part(rank: int) -> tuple[Tensor, Tensor]:
    points = _points()
    value = _value(points, (slice(0, 3), slice(3, 7))[rank])
    value.backward()
    assert points.grad is not None
    return value.detach(), points.grad


def test_two_processes_are_one() -> None:
    parts, points = run(_part, 2), _points()
    whole = _value(points)
    whole.backward()
    torch.testing.assert_close(sum(p[0] for p in parts) / 2, whole.detach())
    torch.testing.assert_close(sum(p[1] for p in parts) / 2, points.grad)


def test_a_thing_alone_of_its_id_costs_nothing() -> None:
    side = Side(Features(torch.randn(3, 4)), torch.arange(3), torch.ones(3))
    assert contrast_among(side, build("cosine", Similarity), build("infonce", PairLoss), torch.tensor(5.0)).item() == 0
