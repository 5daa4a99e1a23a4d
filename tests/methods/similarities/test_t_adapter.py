"""The T-adapter against its definition in loops, and what it has in common with its neighbours."""

import math
from dataclasses import replace

import pytest
import torch

from dovetail.contracts import Features
from dovetail.data.worlds import Sampler, Telling, World
from dovetail.evaluation.benchmarks import ZeroShotBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import LEARNABLE, RECIPE, held_out, scenes
from dovetail.methods.similarities.t_adapter import TAdapter
from dovetail.ops.similarity import compare, cosine

K = 5.0


def _score(x: list[float], y: list[float]) -> float:
    c = sum(a * b for a, b in zip(x, y, strict=True)) / (math.hypot(*x) * math.hypot(*y))
    return 2 / (1 + K * (1 - c))


def test_oracle() -> None:
    x, y = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (2, 4))
    weights = torch.randn(2, 4, dtype=torch.float64)
    found = compare(TAdapter(K), Features(x), Features(y))
    xs, ys = x.tolist(), y.tolist()

    def whole() -> float:
        return sum(float(weights[i, j]) * _score(v, w) for i, v in enumerate(xs) for j, w in enumerate(ys))

    assert (found * weights).sum().item() == pytest.approx(whole(), abs=1e-12)
    gradients = torch.autograd.grad((found * weights).sum(), [x, y])
    for rows, gradient in zip((xs, ys), gradients, strict=True):
        for i, row in enumerate(rows):
            for k in range(3):
                kept, values = row[k], []
                for step in (1e-6, -1e-6):
                    row[k] = kept + step
                    values.append(whole())
                row[k] = kept
                assert float(gradient[i, k]) == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-7)


def test_known_angles() -> None:
    x, y = torch.tensor([[2.0, 0.0]]), torch.tensor([[5.0, 0.0], [0.0, 1.0], [-3.0, 0.0]])
    assert compare(TAdapter(), Features(x), Features(y))[0].tolist() == pytest.approx([2.0, 2 / 17, 2 / 33])


def test_the_t_vmf_similarity_is_another_scale_and_another_constant() -> None:
    x, y = torch.randn(5, 4, dtype=torch.float64), torch.randn(6, 4, dtype=torch.float64)
    c = cosine(x, y)
    other, found = (1 + c) / (1 + K * (1 - c)) - 1, compare(TAdapter(K), Features(x), Features(y))
    torch.testing.assert_close(other, (1 + 1 / (2 * K)) * found - 1 - 1 / K)


def test_ranks_as_the_cosine_does() -> None:
    x, y = torch.randn(5, 4, dtype=torch.float64), torch.randn(30, 4, dtype=torch.float64)
    assert torch.equal(compare(TAdapter(), Features(x), Features(y)).argsort(1), cosine(x, y).argsort(1))


def test_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="concentration 0 must be above 0"):
        TAdapter(0)


EVEN = World(Sampler((1, 1), LEARNABLE), telling=Telling(("short",)))
TAILED = replace(EVEN, sampler=replace(EVEN.sampler, tail=1.5))

CLAIM = Claim(
    says="Trained on a long tail of things, it names things of every kind more often rightly than the cosine does.",
    method=replace(RECIPE, objective="t_adapter"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(TAILED),
    benchmark=ZeroShotBenchmark(held_out(EVEN), templates=("a {}",)),
    metric="mean_per_class",
)
