"""Targets that a teacher gives, against loops, torch's own and over processes."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dovetail.contracts import Features
from dovetail.methods.similarities.cosine import Cosine
from dovetail.ops.sides import Side
from dovetail.ops.soft import taught
from tests.processes import run

B, T, SCALE, SHARP = 4, 5, 3.0, 5.0


def _points() -> list[Tensor]:
    torch.manual_seed(4)
    pupil = [torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (B, T)]
    return pupil + [torch.randn(n, 2, dtype=torch.float64) for n in (B, T)]


def _value(x: Tensor, y: Tensor, u: Tensor, v: Tensor) -> Tensor:
    left, right = (Side(Features(p), torch.arange(len(p)), torch.ones(len(p))) for p in (x, y))
    return taught(left, right, (u, v), Cosine(), x.new_tensor(SCALE), x.new_tensor(SHARP))


def oracle(x: list[list[float]], y: list[list[float]], u: list[list[float]], v: list[list[float]]) -> float:
    def scores(a: list[list[float]], b: list[list[float]], scale: float) -> list[list[float]]:
        return [
            [scale * sum(p * q for p, q in zip(r, c, strict=True)) / math.hypot(*r) / math.hypot(*c) for c in b]
            for r in a
        ]

    def way(pupil: list[list[float]], teacher: list[list[float]]) -> float:
        total = 0.0
        for s, t in zip(pupil, teacher, strict=True):
            below, all_of = math.log(sum(math.exp(k) for k in s)), sum(math.exp(k) for k in t)
            total += sum(math.exp(k) / all_of * (below - m) for m, k in zip(s, t, strict=True))
        return total / len(pupil)

    return (way(scores(x, y, SCALE), scores(u, v, SHARP)) + way(scores(y, x, SCALE), scores(v, u, SHARP))) / 2


def test_oracle() -> None:
    points = _points()
    found, rows = _value(*points), [p.tolist() for p in points]
    assert found.item() == pytest.approx(oracle(*rows), abs=1e-10)
    for side, gradient in zip(rows, torch.autograd.grad(found, points[:2]), strict=False):
        for i, k in ((i, k) for i in range(len(side)) for k in range(3)):
            kept, ends = side[i][k], []
            for step in (1e-6, -1e-6):
                side[i][k] = kept + step
                ends.append(oracle(*rows))
            side[i][k] = kept
            assert float(gradient[i, k]) == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-7)


def test_equals_the_divergence_up_to_the_teacher_s_entropy() -> None:
    x, y, u, v = (F.normalize(p.detach(), dim=1) for p in _points())
    s, t = SCALE * x @ y.T, SHARP * u @ v.T
    wanted = sum(
        F.kl_div(a.log_softmax(1), b.softmax(1), reduction="batchmean")
        - (b.softmax(1) * b.log_softmax(1)).sum(1).mean()
        for a, b in ((s, t), (s.T, t.T))
    )
    torch.testing.assert_close(_value(x, y, u, v), wanted / 2)


def _part(rank: int) -> tuple[Tensor, Tensor]:
    points = _points()
    rows, cols = ((slice(0, 1), slice(0, 3)), (slice(1, B), slice(3, T)))[rank]
    # The joined mean is over all rows: one and three, three and two of them.
    value = _value(points[0][rows], points[1][cols], points[2][rows], points[3][cols])
    value.backward()
    assert points[0].grad is not None
    return value.detach(), points[0].grad


def test_two_processes_are_one() -> None:
    parts, points = run(_part, 2), _points()
    whole = _value(*points)
    whole.backward()
    torch.testing.assert_close(sum(p[0] for p in parts) / 2, whole.detach())
    torch.testing.assert_close(sum(p[1] for p in parts) / 2, points[0].grad)
