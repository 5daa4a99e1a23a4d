"""Smoothed InfoNCE against its definition in loops over soft targets, torch's, and over processes."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dovetail.catalogue import build
from dovetail.contracts import Features
from dovetail.ops.contrast import contrast
from dovetail.ops.sides import Side
from dovetail.ops.smoothing import Spread, over_columns, over_negatives, smoothing
from tests.processes import run

Matrix = list[list[float]]
E, SCALE = 0.3, 4.0
# Rows 0 and 3 are the same thing; columns 4 and 5 belong to nobody and ask nothing; row 4 has no column.
ROWS, COLS = [7, 8, 9, 7, 2], [7, 7, 8, 9, -1, -2, 7]
ROW_WEIGHTS, COL_WEIGHTS = [1.0, 0.5, 2.0, 1.0, 1.0], [1.0, 1.0, 0.5, 2.0, 0.0, 0.0, 1.0]


def _cosine(a: list[float], b: list[float]) -> float:
    return sum(p * q for p, q in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


def _row(scores: list[float], own: list[bool], all_columns: bool) -> float:
    """The mean over positives of the cross-entropy with soft targets, in a softmax over the positive and negatives."""
    negatives, costs = [s for s, mine in zip(scores, own, strict=True) if not mine], []
    for s in (s for s, mine in zip(scores, own, strict=True) if mine):
        seen, n = [s, *negatives], len(negatives)
        targets = [1 - E + E / (n + 1)] + [E / (n + 1)] * n if all_columns else [1 - E] + [E / max(n, 1)] * n
        if not n:
            targets = [1.0]
        whole = math.log(sum(math.exp(v) for v in seen))
        costs.append(-sum(q * (v - whole) for q, v in zip(targets, seen, strict=True)))
    return sum(costs) / len(costs) if costs else 0.0


def _defined(x: Matrix, y: Matrix, all_columns: bool) -> float:
    means = []
    for a, a_ids, weights, b, b_ids in ((x, ROWS, ROW_WEIGHTS, y, COLS), (y, COLS, COL_WEIGHTS, x, ROWS)):
        rows = [
            _row([SCALE * _cosine(p, q) for q in b], [i == j for j in b_ids], all_columns)
            for p, i in zip(a, a_ids, strict=True)
        ]
        means.append(sum(w * r for w, r in zip(weights, rows, strict=True)) / sum(weights))
    return sum(means) / 2


def _points() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(4)
    x, y = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (len(ROWS), len(COLS)))
    return x, y, torch.tensor(SCALE, dtype=torch.float64, requires_grad=True)


def _sides(x: Tensor, y: Tensor, rows: slice = slice(None), cols: slice = slice(None)) -> tuple[Side, Side]:
    left = Side(Features(x[rows]), torch.tensor(ROWS[rows]), torch.tensor(ROW_WEIGHTS[rows]))
    return left, Side(Features(y[cols]), torch.tensor(COLS[cols]), torch.tensor(COL_WEIGHTS[cols]))


def _smoothed(left: Side, right: Side, scale: Tensor, spread: Spread) -> Tensor:
    plain = contrast(left, right, build("cosine"), build("infonce"), scale)
    return plain + E * smoothing(left, right, scale, spread)


@pytest.mark.parametrize("spread", [over_negatives, over_columns])
def test_oracle(spread: Callable[[Tensor], Tensor]) -> None:
    x, y, scale = _points()
    found = _smoothed(*_sides(x, y), scale, spread)
    xs, ys = x.tolist(), y.tolist()

    def defined() -> float:
        return _defined(xs, ys, spread is over_columns)

    assert found.item() == pytest.approx(defined(), abs=1e-12)
    for rows, gradient in zip((xs, ys), torch.autograd.grad(found, [x, y]), strict=True):
        for i, k in ((i, k) for i in range(len(rows)) for k in range(3)):
            kept, values = rows[i][k], []
            for step in (1e-6, -1e-6):
                rows[i][k] = kept + step
                values.append(defined())
            rows[i][k] = kept
            assert float(gradient[i, k]) == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-7)


def test_with_one_positive_it_is_torch_s_label_smoothing() -> None:
    x, y = (torch.randn(6, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    scale, own = torch.tensor(7.0, dtype=torch.float64, requires_grad=True), torch.arange(6)
    scores = scale * F.normalize(x, dim=1) @ F.normalize(y, dim=1).T
    wanted = torch.stack([F.cross_entropy(s, own, label_smoothing=E) for s in (scores, scores.T)]).mean()
    left, right = (Side(Features(v), own, torch.ones(6)) for v in (x, y))
    found = _smoothed(left, right, scale, over_columns)
    torch.testing.assert_close(found, wanted)
    leaves = [x, y, scale]
    for a, b in zip(torch.autograd.grad(found, leaves), torch.autograd.grad(wanted, leaves), strict=True):
        torch.testing.assert_close(a, b)


def _part(rank: int) -> tuple[Tensor, ...]:
    x, y, scale = _points()
    rows, cols = ((slice(0, 2), slice(0, 3)), (slice(2, 5), slice(3, 7)))[rank]
    value = smoothing(*_sides(x, y, rows, cols), scale)
    value.backward()
    return value.detach(), *(v.grad for v in (x, y, scale) if v.grad is not None)


def test_two_processes_are_one() -> None:
    first, second = run(_part, 2)
    x, y, scale = _points()
    value = smoothing(*_sides(x, y), scale)
    value.backward()
    for a, b, whole in zip(first, second, (value.detach(), x.grad, y.grad, scale.grad), strict=True):
        torch.testing.assert_close((a + b) / 2, whole)


def test_without_negatives_or_positives_there_is_nothing_to_smooth() -> None:
    one, other = (Side(Features(torch.randn(2, 3)), torch.tensor(ids), torch.ones(2)) for ids in ([3, 3], [4, 4]))
    for spread in (over_negatives, over_columns):
        assert smoothing(one, one, torch.tensor(2.0), spread) == smoothing(one, other, torch.tensor(2.0), spread) == 0


def test_without_columns_there_is_nothing_to_smooth() -> None:
    one, none = (Side(Features(torch.randn(n, 3)), torch.arange(n), torch.ones(n)) for n in (2, 0))
    assert smoothing(one, none, torch.tensor(2.0)) == smoothing(none, none, torch.tensor(2.0)) == 0
