"""MERU's entailment against its definition in loops, in the coordinates of the paper, and over processes."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from dovetail.contracts import Batch, Captions, Features, Kind, Tokens
from dovetail.data.worlds import Sampler, Telling, World
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import LEARNABLE, RECIPE, held_out, scenes
from dovetail.methods.objectives.meru import MERU, exterior_angle, half_aperture
from dovetail.models.contrasting import Encoded
from dovetail.ops.contrast import contrast
from dovetail.ops.sides import Side
from tests.processes import run

OWNER, KIND = [0, 0, 1, 2, 2, 3], [Kind.RAW] * 4 + [Kind.NEGATIVE, Kind.RAW]
CURVATURE, RADIUS, WEIGHT, WIDTH = 1.6, 0.3, 0.5, 3


def _space(v: list[float]) -> list[float]:
    r = math.sqrt(CURVATURE) * math.hypot(*v) / math.sqrt(WIDTH)
    return [math.sinh(r) / r * k / math.sqrt(WIDTH) for k in v]


def _outside(text: list[float], image: list[float]) -> float:
    """How far the image lies outside the cone of the text, in radians."""
    x, y, c = _space(text), _space(image), CURVATURE
    times = [math.sqrt(1 / c + sum(k * k for k in v)) for v in (x, y)]
    inner = c * (sum(p * q for p, q in zip(x, y, strict=True)) - times[0] * times[1])
    angle = math.acos((times[1] + times[0] * inner) / (math.hypot(*x) * math.sqrt(inner**2 - 1)))
    return max(0.0, angle - math.asin(min(1.0, 2 * RADIUS / (math.sqrt(c) * math.hypot(*x)))))


def _entailment(x: list[list[float]], y: list[list[float]]) -> float:
    pairs = [(y[j], x[i]) for j, i in enumerate(OWNER) if KIND[j] != Kind.NEGATIVE]
    return WEIGHT * sum(_outside(text, image) for text, image in pairs) / len(pairs)


def _objective() -> MERU:
    made = MERU(entailment=WEIGHT, radius=RADIUS).double()
    similarity: Any = made.similarity
    with torch.no_grad():
        similarity.log_curvature.fill_(math.log(CURVATURE))
    return made


def _batch(images: slice = slice(None), texts: slice = slice(None)) -> Batch:
    owner = torch.tensor(OWNER[texts])
    tokens = Tokens(torch.ones(len(owner), 2, dtype=torch.int64), torch.ones(len(owner), 2, dtype=torch.bool))
    captions = Captions(tokens, owner - (images.start or 0), torch.tensor([int(k) for k in KIND[texts]]))
    ids = torch.arange(4)[images]
    return Batch(torch.zeros(len(ids), 3, 4, 4, dtype=torch.uint8), captions, ids)


def _points() -> tuple[Tensor, Tensor]:
    torch.manual_seed(3)
    x, y = (2 * torch.randn(n, WIDTH, dtype=torch.float64) for n in (4, 6))
    return x.requires_grad_(), y.requires_grad_()


def _terms(objective: MERU, x: Tensor, y: Tensor, batch: Batch) -> dict[str, Tensor]:
    return dict(objective.terms(Encoded(Features(x), Features(y), x.new_tensor(5.0), None), batch))


def test_oracle() -> None:
    x, y = _points()
    found = _terms(_objective(), x, y, _batch())["entailment"]
    xs, ys = x.tolist(), y.tolist()
    assert found.item() == pytest.approx(_entailment(xs, ys), abs=1e-10) and found > 0
    gradients = torch.autograd.grad(found, [x, y])
    for rows, gradient in zip((xs, ys), gradients, strict=True):
        for i, k in ((i, k) for i in range(len(rows)) for k in range(WIDTH)):
            kept, values = rows[i][k], []
            for step in (1e-6, -1e-6):
                rows[i][k] = kept + step
                values.append(_entailment(xs, ys))
            rows[i][k] = kept
            assert float(gradient[i, k]) == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-6)


def test_the_first_term_is_the_contrast_of_distances() -> None:
    x, y = _points()
    objective, data = _objective(), _batch()
    ids = torch.where(data.captions.kind == Kind.NEGATIVE, -1, data.captions.owner)
    sides = Side(Features(x), data.ids, torch.ones(4)), Side(Features(y), ids, (ids >= 0).double())
    expected = contrast(*sides, objective.similarity, objective.loss, x.new_tensor(5.0))
    torch.testing.assert_close(_terms(objective, x, y, data)["contrastive"], expected)


def test_what_lies_behind_on_the_same_ray_is_entailed_and_what_lies_before_is_not() -> None:
    prepare = _objective().similarity.prepare
    v = torch.tensor([[1.0, 2.0, 0.5]], dtype=torch.float64)
    near, apex, far = (prepare(Features(k * v)).pooled for k in (0.5, 1.0, 2.0))
    assert exterior_angle(apex, far).item() == pytest.approx(0, abs=1e-6)
    assert exterior_angle(apex, near).item() == pytest.approx(math.pi, abs=1e-6)
    assert half_aperture(near, 0.1) > half_aperture(apex, 0.1) > half_aperture(far, 0.1) > 0
    assert half_aperture(prepare(Features(0 * v)).pooled, 0.1).item() == pytest.approx(math.pi / 2, abs=1e-6)


def _part(rank: int) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
    x, y = _points()
    images, texts = ((slice(0, 1), slice(0, 2)), (slice(1, 4), slice(2, 6)))[rank]
    objective = _objective()
    value = torch.stack(list(_terms(objective, x[images], y[texts], _batch(images, texts)).values())).sum()
    value.backward()
    assert x.grad is not None and y.grad is not None
    return value.detach(), x.grad, y.grad, [p.grad for p in objective.parameters() if p.grad is not None]


def test_two_processes_are_one() -> None:
    parts = run(_part, 2)
    x, y = _points()
    objective = _objective()
    value = torch.stack(list(_terms(objective, x, y, _batch()).values())).sum()
    value.backward()
    assert sum(p[0] for p in parts) / 2 == pytest.approx(value.item(), abs=1e-10)
    learnt = [p.grad for p in objective.parameters()]
    for i, gradient in enumerate((x.grad, y.grad)):
        torch.testing.assert_close(sum(p[i + 1] for p in parts) / 2, gradient)
    for i, gradient in enumerate(learnt):
        torch.testing.assert_close(sum(p[3][i] for p in parts) / 2, gradient)
    assert len(learnt) == 2


HIERARCHY = World(Sampler((2, 3), LEARNABLE), telling=Telling(("summary", "short", "objects")))
"""Two or three things, told from the general to the particular: their number; colour and shape; each with its place."""

CLAIM = Claim(
    says="With captions from the general to the particular, hyperbolic cones retrieve better than the cosine does.",
    method=replace(RECIPE, objective="meru"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(HIERARCHY),
    benchmark=RetrievalBenchmark(held_out(HIERARCHY)),
    metric="mean_recall",
)
