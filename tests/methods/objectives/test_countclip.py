"""CountCLIP against its definition in loops, and the claim that it counts."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dovetail.contracts import Batch, Captions, Features, Kind, Tokens
from dovetail.data.worlds import Sampler, Telling, World
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import LEARNABLE, RECIPE, held_out, larger, scenes
from dovetail.evaluation.worlds.counting import CountingBenchmark
from dovetail.methods.objectives.contrastive import Contrastive
from dovetail.methods.objectives.countclip import CountCLIP
from dovetail.models.contrasting import Encoded

Matrix = list[list[float]]
T = 3.0
R, N = Kind.RAW, Kind.NEGATIVE
# Image 1 counts nothing; image 2 has two captions and two counterfactuals; images 0 and 3 are the same thing.
OWNER, KIND, IDS = [0, 0, 1, 2, 2, 2, 2, 3, 3], [R, N, R, R, N, R, N, N, R], [7, 8, 9, 7]


def _batch(kind: list[Kind] = KIND, weights: Tensor | None = None) -> Batch:
    tokens = Tokens(torch.ones(9, 2, dtype=torch.int64), torch.ones(9, 2, dtype=torch.bool))
    captions = Captions(tokens, torch.tensor(OWNER), torch.tensor([int(k) for k in kind]))
    return Batch(torch.zeros(4, 3, 4, 4, dtype=torch.uint8), captions, torch.tensor(IDS), weights=weights)


def _cosine(a: list[float], b: list[float]) -> float:
    return sum(p * q for p, q in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


def _row(scores: list[float], own: list[bool]) -> float:
    against = sum(math.exp(s) for s, mine in zip(scores, own, strict=True) if not mine)
    costs = [math.log(math.exp(s) + against) - s for s, mine in zip(scores, own, strict=True) if mine]
    return sum(costs) / len(costs)


def _contrastive(x: Matrix, y: Matrix) -> float:
    true = [j for j in range(9) if KIND[j] == R]
    there = [
        _row([T * _cosine(a, y[j]) for j in true], [IDS[OWNER[j]] == IDS[i] for j in true]) for i, a in enumerate(x)
    ]
    back = [_row([T * _cosine(y[j], a) for a in x], [IDS[OWNER[j]] == name for name in IDS]) for j in true]
    return (sum(there) / len(there) + sum(back) / len(back)) / 2


def _count(x: Matrix, y: Matrix, scale: float) -> float:
    costs = []
    for i in range(4):
        true, false = ([j for j in range(9) if OWNER[j] == i and KIND[j] == k] for k in (R, N))
        if not false:
            continue
        e = [math.exp(scale * _cosine(x[i], row)) for row in y]
        costs.append(sum(-math.log(e[j] / (e[j] + sum(e[k] for k in false))) for j in true) / len(true))
    return sum(costs) / len(costs)


def _points() -> tuple[Tensor, Tensor]:
    torch.manual_seed(3)
    x, y = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (4, 9))
    return x, y


def _encoded(x: Tensor, y: Tensor) -> Encoded:
    return Encoded(Features(x), Features(y), x.new_tensor(T), None)


@pytest.mark.parametrize("scale, weight", [(1.0, 1.0), (None, 0.5)])
def test_oracle(scale: float | None, weight: float) -> None:
    x, y = _points()
    found = CountCLIP(weight, scale).terms(_encoded(x, y), _batch())
    xs, ys = x.tolist(), y.tolist()

    def defined() -> list[float]:
        return [_contrastive(xs, ys), weight * _count(xs, ys, scale or T)]

    assert [found["contrastive"].item(), found["count"].item()] == pytest.approx(defined(), abs=1e-12)
    gradients = torch.autograd.grad(sum(found.values()), [x, y])
    for rows, gradient in zip((xs, ys), gradients, strict=True):
        for i, k in ((i, k) for i in range(len(rows)) for k in range(3)):
            kept, values = rows[i][k], []
            for step in (1e-6, -1e-6):
                rows[i][k] = kept + step
                values.append(sum(defined()))
            rows[i][k] = kept
            assert float(gradient[i, k]) == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-8)


def test_images_count_by_their_weights() -> None:
    x, y = _points()
    weights = torch.tensor([1.0, 1.0, 0.0, 0.0])
    found = CountCLIP().terms(_encoded(x, y), _batch(weights=weights))["count"]
    e = [math.exp(_cosine(x[0].tolist(), y[j].tolist())) for j in (0, 1)]
    assert found.item() == pytest.approx(-math.log(e[0] / sum(e)))


def test_without_counterfactuals_it_is_the_contrastive_objective() -> None:
    x, y = _points()
    plain = _batch([R] * 9)
    found = CountCLIP().terms(_encoded(x, y), plain)
    assert found["count"] == 0
    torch.testing.assert_close(found["contrastive"], Contrastive().terms(_encoded(x, y), plain)["contrastive"])


# One look is repeated in every scene, and every caption counts.
COUNTED = World(
    Sampler((2, 5), replace(LEARNABLE, sizes=("medium",), textures=("plain",)), alike=1.0),
    telling=Telling(("short", "counts")),
)
CLAIM = Claim(
    says="Told from captions with another number, scenes are counted more often right than by InfoNCE alone.",
    method=replace(RECIPE, objective="countclip"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(replace(COUNTED, negatives=("wrong count",))),
    benchmark=CountingBenchmark(held_out(COUNTED)),
    metric="count/accuracy",
)
CLAIM_GPU = larger(CLAIM)
