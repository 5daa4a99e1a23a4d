"""Alignment and uniformity against their definition in loops, their authors' form, and over processes."""

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
from dovetail.evaluation.geometry import alignment, uniformity
from dovetail.methods.objectives.alignment_uniformity import AlignmentUniformity
from dovetail.models.contrasting import Encoded
from tests.processes import run

Matrix = list[list[float]]
OWNER, IDS, KIND = [0, 0, 1, 2, 2, 3], [7, 8, 9, 7], [Kind.RAW] * 4 + [Kind.NEGATIVE, Kind.RAW]


def _unit(a: list[float]) -> list[float]:
    return [v / math.hypot(*a) for v in a]


def _squared(a: list[float], b: list[float]) -> float:
    return sum((p - q) ** 2 for p, q in zip(a, b, strict=True))


def _defined(x: Matrix, y: Matrix, alpha: float, t: float) -> tuple[float, float]:
    """Images 0 and 3 are the same thing; a negative caption is a thing of its own."""
    x, y = [_unit(v) for v in x], [_unit(v) for v in y]
    pairs = [(x[i], y[j]) for j, i in enumerate(OWNER) if KIND[j] != Kind.NEGATIVE]
    near = sum(_squared(a, b) ** (alpha / 2) for a, b in pairs) / len(pairs)
    things = [-j if KIND[j] == Kind.NEGATIVE else IDS[i] for j, i in enumerate(OWNER)]

    def spread(points: Matrix, ids: list[int]) -> float:
        n = range(len(points))
        found = [math.exp(-t * _squared(points[i], points[j])) for i in n for j in n if ids[i] != ids[j]]
        return math.log(sum(found) / len(found))

    return near, (spread(x, IDS) + spread(y, things)) / 2


def _batch(images: slice = slice(None), texts: slice = slice(None)) -> Batch:
    owner = torch.tensor(OWNER[texts])
    tokens = Tokens(torch.ones(len(owner), 2, dtype=torch.int64), torch.ones(len(owner), 2, dtype=torch.bool))
    captions = Captions(tokens, owner - (images.start or 0), torch.tensor([int(k) for k in KIND[texts]]))
    ids = torch.tensor(IDS[images])
    return Batch(torch.zeros(len(ids), 3, 4, 4, dtype=torch.uint8), captions, ids)


def _points() -> tuple[Tensor, Tensor]:
    torch.manual_seed(2)
    x, y = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (4, 6))
    return x, y


def _terms(objective: AlignmentUniformity, x: Tensor, y: Tensor, batch: Batch) -> dict[str, Tensor]:
    return dict(objective.terms(Encoded(Features(x), Features(y), x.new_tensor(5.0), None), batch))


@pytest.mark.parametrize(("alpha", "t"), [(2.0, 2.0), (1.0, 3.0)])
def test_oracle(alpha: float, t: float) -> None:
    x, y = _points()
    found = _terms(AlignmentUniformity(alpha, t, alignment=0.7, uniformity=1.5), x, y, _batch())
    xs, ys = x.tolist(), y.tolist()

    def whole() -> float:
        near, spread = _defined(xs, ys, alpha, t)
        return 0.7 * near + 1.5 * spread

    near, spread = _defined(xs, ys, alpha, t)
    assert found["alignment"].item() == pytest.approx(0.7 * near, abs=1e-10)
    assert found["uniformity"].item() == pytest.approx(1.5 * spread, abs=1e-10)
    gradients = torch.autograd.grad(found["alignment"] + found["uniformity"], [x, y])
    for rows, gradient in zip((xs, ys), gradients, strict=True):
        for i, k in ((i, k) for i in range(len(rows)) for k in range(3)):
            kept, values = rows[i][k], []
            for step in (1e-6, -1e-6):
                rows[i][k] = kept + step
                values.append(whole())
            rows[i][k] = kept
            assert float(gradient[i, k]) == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-6)


def test_one_caption_an_image_equals_the_authors_and_the_metric() -> None:
    x, y = (torch.randn(5, 4) for _ in range(2))
    owner = torch.arange(5)
    tokens = Tokens(torch.ones(5, 2, dtype=torch.int64), torch.ones(5, 2, dtype=torch.bool))
    batch = Batch(torch.zeros(5, 3, 4, 4, dtype=torch.uint8), Captions(tokens, owner, 0 * owner), owner)
    found = _terms(AlignmentUniformity(), x, y, batch)
    a, b = F.normalize(x, dim=1), F.normalize(y, dim=1)
    near = (a - b).norm(dim=1).pow(2).mean()
    spread = sum(torch.pdist(v).pow(2).mul(-2).exp().mean().log() for v in (a, b)) / 2
    torch.testing.assert_close(found["alignment"], near)
    torch.testing.assert_close(found["uniformity"], torch.as_tensor(spread))
    assert found["alignment"].item() == pytest.approx(alignment(x, y), abs=1e-5)
    assert found["uniformity"].item() == pytest.approx((uniformity(x) + uniformity(y)) / 2, abs=1e-5)


def _part(rank: int) -> tuple[Tensor, Tensor, Tensor]:
    x, y = _points()
    images, texts = ((slice(0, 1), slice(0, 2)), (slice(1, 4), slice(2, 6)))[rank]
    found = _terms(AlignmentUniformity(), x[images], y[texts], _batch(images, texts))
    value = found["alignment"] + found["uniformity"]
    value.backward()
    assert x.grad is not None and y.grad is not None
    return value.detach(), x.grad, y.grad


def test_two_processes_are_one() -> None:
    parts = run(_part, 2)
    x, y = _points()
    value = sum(_terms(AlignmentUniformity(), x, y, _batch()).values())
    value.backward()  # type: ignore[union-attr]
    assert sum(p[0] for p in parts) / 2 == pytest.approx(float(value.detach()), abs=1e-10)
    torch.testing.assert_close(sum(p[1] for p in parts) / 2, x.grad)
    torch.testing.assert_close(sum(p[2] for p in parts) / 2, y.grad)


def test_a_single_thing_is_spread_already() -> None:
    x, y = torch.randn(1, 3), torch.randn(2, 3)
    tokens = Tokens(torch.ones(2, 2, dtype=torch.int64), torch.ones(2, 2, dtype=torch.bool))
    captions = Captions(tokens, torch.zeros(2, dtype=torch.int64), torch.zeros(2, dtype=torch.int64))
    batch = Batch(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), captions, torch.tensor([3]))
    assert float(_terms(AlignmentUniformity(), x, y, batch)["uniformity"]) == 0


CLAIM = Claim(
    says="Minimised themselves, alignment and uniformity learn to retrieve better than InfoNCE, which stands for them.",
    method=replace(RECIPE, objective="alignment_uniformity"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
CLAIM_GPU = larger(CLAIM)
