"""DeCLIP against its definition in loops, its queue over steps, and the claim that it learns faster."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from dovetail.contracts import Batch, Features
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, larger, scenes
from dovetail.methods.objectives.declip import DeCLIP, Viewed
from dovetail.models.contrasting import Encoded
from tests.contracts.samples import batch
from tests.models.small import model

Rows = list[list[float]]
SCALE, OWNER, WEIGHTS = 4.0, [0, 0, 1, 2, 2, 2, 3, 4], [1.0, 2.0, 0.5, 1.0, 1.0]
WORDS, COUNTS = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0], [1, 1, 2, 1, 3, 4, 0, 2]
TRUE = [0, 1, 2, 3, 5, 6, 7]  # the fifth caption is a hard negative


def _dot(a: list[float], b: list[float]) -> float:
    return sum(p * q for p, q in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def _way(asking: Rows, asked: Rows, own: list[list[int]], weights: list[float]) -> float:
    total = 0.0
    for a, mine, w in zip(asking, own, weights, strict=True):
        powers = [math.exp(SCALE * _dot(a, b)) for b in asked]
        others = sum(p for j, p in enumerate(powers) if j not in mine)
        total += w * sum(math.log(1 + others / powers[j]) for j in mine) / len(mine)
    return total / sum(weights)


def _defined(x: Rows, v: Rows, y: Rows, memory: Rows) -> tuple[float, float, float]:
    """With projector and predictor that change nothing, but that the predictor doubles the first number."""
    of = [[j for j in TRUE if OWNER[j] == i] for i in range(5)]
    back = [[OWNER[j]] for j in TRUE]
    near = [max(memory, key=lambda m: _dot(m, y[j])) for j in TRUE]
    places = [[TRUE.index(j) for j in own] for own in of]
    pairs = nearest = 0.0
    for view in (x, v):
        pairs += _way(view, y, of, WEIGHTS) / 4
        pairs += _way([y[j] for j in TRUE], view, back, [WEIGHTS[OWNER[j]] for j in TRUE]) / 4
        nearest += _way(view, near, places, WEIGHTS) / 2

    def predicted(a: list[float]) -> list[float]:
        return [2 * a[0], *a[1:]]

    alike = [(_dot(predicted(a), b) + _dot(predicted(b), a)) / 2 for a, b in zip(x, v, strict=True)]
    siamese = -sum(w * a for w, a in zip(WEIGHTS, alike, strict=True)) / sum(WEIGHTS)
    return 0.4 * pairs, 0.2 * nearest, 0.2 * siamese


def _setting(queue: int = 6) -> tuple[DeCLIP, Batch]:
    objective = DeCLIP(queue=queue, inner=8)
    objective.begin(model(), [])
    objective.projector, linear = nn.Identity(), nn.Linear(3, 3, bias=False).double()
    objective.predictor = linear
    linear.weight.data.copy_(torch.eye(3)).mul_(torch.tensor([2.0, 1.0, 1.0]))
    objective.memory = torch.nn.functional.normalize(torch.randn(queue, 3, dtype=torch.float64), dim=1)
    return objective, replace(batch(objective), ids=torch.arange(5), weights=torch.tensor(WEIGHTS))


def _points() -> tuple[Tensor, Tensor, Tensor]:
    x, v, y = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (5, 5, 8))
    return x, v, y


def _terms(objective: DeCLIP, data: Batch, x: Tensor, v: Tensor, y: Tensor) -> dict[str, Tensor]:
    pairs = Encoded(Features(x), Features(y), torch.tensor(SCALE).double(), None)
    return dict(objective.terms(Viewed(pairs, v, (torch.tensor(WORDS).double(), torch.tensor(COUNTS))), data))


def test_oracle() -> None:
    objective, data = _setting()
    points, memory = _points(), objective.memory.tolist()
    found = _terms(objective.eval(), data, *points)
    rows: list[Rows] = [p.tolist() for p in points]
    for name, wanted in zip(
        ("contrastive", "nearest", "siamese"), _defined(rows[0], rows[1], rows[2], memory), strict=True
    ):
        assert found[name].item() == pytest.approx(wanted, abs=1e-10), name
    guessed = sum(WEIGHTS[OWNER[j]] * WORDS[j] for j in TRUE if COUNTS[j])
    assert found["words"].item() == pytest.approx(0.2 * guessed / sum(WEIGHTS[OWNER[j]] * COUNTS[j] for j in TRUE))
    total = found["contrastive"] + found["nearest"]
    for side, gradient in zip(rows, torch.autograd.grad(total, points), strict=True):
        for i, k in ((i, k) for i in range(len(side)) for k in range(3)):
            kept, ends = side[i][k], []
            for step in (1e-6, -1e-6):
                side[i][k] = kept + step
                ends.append(sum(_defined(rows[0], rows[1], rows[2], memory)[:2]))
            side[i][k] = kept
            assert float(gradient[i, k]) == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-7)


def test_no_gradient_reaches_what_is_predicted() -> None:
    """That of the siamese term is the gradient with the other side held."""
    objective, data = _setting()
    x, v, y = _points()
    (gradient,) = torch.autograd.grad(_terms(objective.eval(), data, x, v, y)["siamese"], x)
    rows, fixed, w = x.tolist(), v.tolist(), WEIGHTS
    for i, k in ((i, k) for i in range(5) for k in range(3)):
        kept, ends = rows[i][k], []
        for step in (1e-6, -1e-6):
            rows[i][k] = kept + step
            ends.append(-0.2 * w[i] * _dot([2 * rows[i][0], *rows[i][1:]], fixed[i]) / 2 / sum(w))
        rows[i][k] = kept
        assert float(gradient[i, k]) == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-7)


def test_the_queue_takes_in_true_captions_in_training_and_forgets_the_oldest() -> None:
    objective, data = _setting(queue=10)
    x, v, y = _points()
    before = objective.memory.clone()
    _terms(objective.eval(), data, x, v, y)
    assert torch.equal(objective.memory, before)
    unit = torch.nn.functional.normalize(y[TRUE].detach(), dim=1)
    _terms(objective.train(), data, x, v, y)
    torch.testing.assert_close(objective.memory, torch.cat([unit, before[7:]]))
    _terms(objective, data, x, v, y)
    torch.testing.assert_close(objective.memory, torch.cat([unit[3:], unit[4:7], unit[:3]]))


CLAIM = Claim(
    says="With views, their likeness and near texts it retrieves better than InfoNCE from the same pictures.",
    method=replace(RECIPE, objective="declip(queue=4096, inner=256)"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
CLAIM_GPU = larger(CLAIM)
