"""The cosine against its definition in loops."""

import math

import pytest
import torch

from dovetail.contracts import Features
from dovetail.methods.similarities.cosine import Cosine
from dovetail.ops.similarity import compare


def product(x: list[float], y: list[float]) -> float:
    return sum(a * b for a, b in zip(x, y, strict=True))


def score(x: list[float], y: list[float]) -> float:
    return product(x, y) / math.sqrt(product(x, x) * product(y, y))


def slope(x: list[float], y: list[float]) -> list[float]:
    """The derivative with respect to x, by hand: what of y is at right angles to x, over both lengths."""
    length = math.sqrt(product(x, x))
    return [(b / math.sqrt(product(y, y)) - score(x, y) * a / length) / length for a, b in zip(x, y, strict=True)]


def test_oracle() -> None:
    rows = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    cols = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(3, 5, dtype=torch.float64)
    found = compare(Cosine(), Features(rows), Features(cols))
    (found * weights).sum().backward()
    xs, ys, ws = rows.tolist(), cols.tolist(), weights.tolist()
    assert rows.grad is not None and cols.grad is not None
    for i, x in enumerate(xs):
        assert found[i].tolist() == pytest.approx([score(x, y) for y in ys], abs=1e-12)
        expected = [sum(ws[i][j] * slope(x, ys[j])[k] for j in range(5)) for k in range(4)]
        assert rows.grad[i].tolist() == pytest.approx(expected, abs=1e-12)
    for j, y in enumerate(ys):
        expected = [sum(ws[i][j] * slope(y, xs[i])[k] for i in range(3)) for k in range(4)]
        assert cols.grad[j].tolist() == pytest.approx(expected, abs=1e-12)


def test_known_angles() -> None:
    rows, cols = torch.tensor([[2.0, 0.0]]), torch.tensor([[5.0, 0.0], [0.0, 1.0], [-3.0, 0.0], [1.0, 1.0]])
    found = compare(Cosine(), Features(rows), Features(cols))
    assert found[0].tolist() == pytest.approx([1.0, 0.0, -1.0, math.sqrt(0.5)], abs=1e-6)


def test_length_is_nothing() -> None:
    rows, cols = torch.randn(3, 4), torch.randn(5, 4)
    torch.testing.assert_close(
        compare(Cosine(), Features(7 * rows), Features(0.01 * cols)), compare(Cosine(), Features(rows), Features(cols))
    )
