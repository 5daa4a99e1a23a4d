"""The Lorentz similarity against its definition in loops, and against what is known of hyperbolic space."""

import math

import pytest
import torch

from dovetail.catalogue import build, configuration, rebuild
from dovetail.contracts import Features
from dovetail.methods.similarities.lorentz import Lorentz
from dovetail.ops.similarity import compare

Rows = list[list[float]]


def _point(v: list[float], c: float, a: float) -> list[float]:
    """The exponential map at the root, as the authors write it: on the hyperboloid of curvature -c, time first."""
    r = math.sqrt(c) * a * math.hypot(*v)
    space = [math.sinh(r) / r * a * k for k in v]
    return [math.sqrt(1 / c + sum(k * k for k in space)), *space]


def _score(x: list[float], y: list[float], c: float, a: float) -> float:
    p, q = _point(x, c, a), _point(y, c, a)
    inner = sum(m * n for m, n in zip(p[1:], q[1:], strict=True)) - p[0] * q[0]
    return -math.acosh(-c * inner) / math.sqrt(c)


def _lorentz(log_curvature: float = 0.0, log_factor: float = 0.0) -> Lorentz:
    made = Lorentz().double()
    with torch.no_grad():
        made.log_curvature.fill_(log_curvature)
        made.log_factor.fill_(log_factor)
    return made


def test_oracle() -> None:
    x, y = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (2, 4))
    weights, numbers = torch.randn(2, 4, dtype=torch.float64), [0.7, -0.4]
    similarity = _lorentz(*numbers)
    found = compare(similarity, Features(x), Features(y))
    xs, ys = x.tolist(), y.tolist()

    def whole() -> float:
        c, a = math.exp(numbers[0]), math.exp(numbers[1]) / math.sqrt(3)
        return sum(float(weights[i, j]) * _score(v, w, c, a) for i, v in enumerate(xs) for j, w in enumerate(ys))

    assert (found * weights).sum().item() == pytest.approx(whole(), abs=1e-10)
    learnt = [similarity.log_curvature, similarity.log_factor]
    gradients = torch.autograd.grad((found * weights).sum(), [x, y, *learnt])
    for rows, gradient in zip((*xs, *ys, numbers), (*gradients[0], *gradients[1], gradients[2:]), strict=True):
        for k in range(len(rows)):
            kept, values = rows[k], []
            for step in (1e-6, -1e-6):
                rows[k] = kept + step
                values.append(whole())
            rows[k] = kept
            assert float(gradient[k]) == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-6)


def test_the_way_from_the_root_is_as_long_as_the_embedding() -> None:
    x, root = 3 * torch.randn(5, 4, dtype=torch.float64), torch.zeros(1, 4, dtype=torch.float64)
    found = compare(_lorentz(1.2, -0.3), Features(x), Features(root))[:, 0]
    torch.testing.assert_close(found, -x.norm(dim=1) * math.exp(-0.3) / 2)


def test_nearly_flat_space_has_euclidean_distances() -> None:
    x, y = torch.randn(5, 4, dtype=torch.float64), torch.randn(6, 4, dtype=torch.float64)
    flat = Lorentz(curvature=1e-6)
    torch.testing.assert_close(compare(flat, Features(x), Features(y)), -torch.cdist(x, y) / 2, rtol=1e-5, atol=1e-5)


def test_the_root_itself_has_a_slope() -> None:
    x = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)
    y = torch.tensor([[2.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    compare(_lorentz(), Features(x), Features(y)).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.tensor([[0.5, 0.0, 0.0, 0.0]], dtype=torch.float64))


def test_a_thing_and_itself_are_finite_in_float32() -> None:
    x = torch.randn(8, 16, requires_grad=True)
    scores = compare(Lorentz(), Features(x), Features(x))
    scores.sum().backward()
    assert scores.diagonal().max() <= 0 and scores.diagonal().min() > -0.01
    assert x.grad is not None and x.grad.isfinite().all()


def test_what_is_learnt_stays_within_the_papers_bounds() -> None:
    similarity, x = Lorentz(curvature=2.0), Features(torch.randn(3, 16))
    for log_curvature, kept in ((9.0, 20.0), (-9.0, 0.2)):
        with torch.no_grad():
            similarity.log_curvature.fill_(log_curvature)
            similarity.log_factor.fill_(9.0)
        similarity.eval().prepare(x)
        assert similarity.log_curvature.item() == log_curvature, "only training changes it"
        similarity.train().prepare(x)
        assert float(similarity.log_curvature.exp()) == pytest.approx(kept)
        assert float(similarity.log_factor.exp()) == pytest.approx(4.0), "so that a is 1"


def test_is_made_again_from_its_configuration() -> None:
    found = rebuild(configuration(build("lorentz(curvature=0.5)")))
    assert isinstance(found, Lorentz) and found.curvature == 0.5
