"""CLOOB against its definition in loops and its authors' form."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dovetail.contracts import Batch, Captions, Features, Kind, Tokens
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, larger, scenes
from dovetail.methods.objectives.cloob import CLOOB, retrieved
from dovetail.models.contrasting import Encoded

Matrix = list[list[float]]
BETA, TAU = 8.0, 30.0


def _dot(a: list[float], b: list[float]) -> float:
    return sum(p * q for p, q in zip(a, b, strict=True))


def _unit(a: list[float]) -> list[float]:
    return [v / math.sqrt(_dot(a, a)) for v in a]


def _looked_up(query: list[float], stored: Matrix) -> list[float]:
    weights = [math.exp(BETA * _dot(query, m)) for m in stored]
    sums = [sum(w * m[k] for w, m in zip(weights, stored, strict=True)) for k in range(len(query))]
    return _unit([v / sum(weights) for v in sums])


def _loob(asking: Matrix, asked: Matrix, belongs: list[list[bool]]) -> float:
    total = 0.0
    for a, own in zip(asking, belongs, strict=True):
        scores = [TAU * _dot(a, b) for b in asked]
        negatives = math.log(sum(math.exp(s) for s, mine in zip(scores, own, strict=True) if not mine))
        costs = [negatives - s for s, mine in zip(scores, own, strict=True) if mine]
        total += sum(costs) / len(costs)
    return total / len(asking)


def _defined(x: Matrix, y: Matrix, owner: list[int]) -> tuple[float, float]:
    x, y = [_unit(v) for v in x], [_unit(v) for v in y]
    there = [[owner[j] == i for j in range(len(y))] for i in range(len(x))]
    back = [list(column) for column in zip(*there, strict=True)]
    images = _loob([_looked_up(v, x) for v in x], [_looked_up(v, x) for v in y], there)
    texts = _loob([_looked_up(v, y) for v in y], [_looked_up(v, y) for v in x], back)
    return images / TAU, texts / TAU


def _batch(owner: list[int], b: int) -> Batch:
    t = len(owner)
    tokens = Tokens(torch.ones(t, 2, dtype=torch.int64), torch.ones(t, 2, dtype=torch.bool))
    captions = Captions(tokens, torch.tensor(owner), torch.full((t,), int(Kind.RAW)))
    return Batch(torch.zeros(b, 3, 4, 4, dtype=torch.uint8), captions, torch.arange(b))


def _terms(x: Tensor, y: Tensor, owner: list[int]) -> dict[str, Tensor]:
    scale = torch.tensor(5.0, dtype=x.dtype)
    return dict(CLOOB().terms(Encoded(Features(x), Features(y), scale, None), _batch(owner, len(x))))


def test_oracle() -> None:
    owner = [0, 0, 1, 2, 2]
    x, y = (torch.randn(n, 4, dtype=torch.float64, requires_grad=True) for n in (3, 5))
    found = _terms(x, y, owner)
    xs, ys = x.tolist(), y.tolist()
    wanted = _defined(xs, ys, owner)
    assert found["image memory"].item() == pytest.approx(wanted[0], abs=1e-10)
    assert found["text memory"].item() == pytest.approx(wanted[1], abs=1e-10)
    gradients = torch.autograd.grad(sum(found.values()), [x, y])
    for rows, gradient in zip((xs, ys), gradients, strict=True):
        for i, k in ((i, k) for i in range(len(rows)) for k in range(4)):
            kept, values = rows[i][k], []
            for step in (1e-5, -1e-5):
                rows[i][k] = kept + step
                values.append(sum(_defined(xs, ys, owner)))
            rows[i][k] = kept
            assert float(gradient[i, k]) == pytest.approx((values[0] - values[1]) / 2e-5, abs=1e-6)


def test_equals_the_authors_form() -> None:
    """Matrices, a mask of the diagonal, and the mean over rows."""
    x, y = (F.normalize(torch.randn(6, 8, dtype=torch.float64), dim=1) for _ in range(2))

    def loob(a: Tensor, b: Tensor) -> Tensor:
        scores, own = TAU * a @ b.T, torch.eye(6, dtype=torch.bool)
        return (scores.masked_fill(own, -1000.0).logsumexp(1) - scores.diagonal()).mean() / TAU

    wanted = loob(retrieved(x, x, BETA), retrieved(y, x, BETA)) + loob(retrieved(y, y, BETA), retrieved(x, y, BETA))
    torch.testing.assert_close(sum(_terms(x, y, list(range(6))).values()), wanted)


def test_a_very_sharp_memory_gives_back_what_was_stored() -> None:
    x = F.normalize(torch.randn(5, 8, dtype=torch.float64), dim=1)
    torch.testing.assert_close(retrieved(x, x, 1e4), x)
    alike = retrieved(x, x, 0.0)
    torch.testing.assert_close(alike, alike[:1].expand(5, -1))


CLAIM = Claim(
    says="With a memory of the batch and InfoLOOB it learns to retrieve better than InfoNCE from the same pictures.",
    method=replace(RECIPE, objective="cloob"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
CLAIM_GPU = larger(CLAIM)
