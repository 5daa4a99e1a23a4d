"""M2-Encoder: two groups of two processes are two losses of one process, defined in loops."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor

from dovetail.contracts import Batch, Captions, Features, Tokens
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, scenes
from dovetail.methods.objectives.contrastive import Contrastive
from dovetail.methods.objectives.m2_encoder import M2Encoder
from dovetail.models.contrasting import Encoded
from tests.processes import run

Matrix = list[list[float]]
SCALE = 4.0
ENDS = [0, 2, 3, 5, 6]  # of the images of each of four processes, a caption each


def _defined(x: Matrix, y: Matrix) -> float:
    """The mean of the losses of the first three images and of the last three."""

    def score(i: int, j: int) -> float:
        dot = sum(p * q for p, q in zip(x[i], y[j], strict=True))
        return SCALE * dot / (math.hypot(*x[i]) * math.hypot(*y[j]))

    total = 0.0
    for group in (range(3), range(3, 6)):
        for i in group:
            total += math.log(sum(math.exp(score(i, j)) for j in group)) - score(i, i)
            total += math.log(sum(math.exp(score(j, i)) for j in group)) - score(i, i)
    return total / (2 * 3) / 2


def _points() -> tuple[Tensor, Tensor]:
    torch.manual_seed(3)
    x, y = (torch.randn(6, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    return x, y


def _value(objective: M2Encoder | Contrastive, x: Tensor, y: Tensor, start: int = 0) -> Tensor:
    own = torch.arange(len(x))
    tokens = Tokens(torch.ones(len(x), 2, dtype=torch.int64), torch.ones(len(x), 2, dtype=torch.bool))
    batch = Batch(torch.zeros(len(x), 3, 4, 4, dtype=torch.uint8), Captions(tokens, own, 0 * own), own + start)
    return objective.terms(Encoded(Features(x), Features(y), x.new_tensor(SCALE), None), batch)["contrastive"]


def _part(rank: int, group: int) -> tuple[Tensor, Tensor, Tensor]:
    x, y = _points()
    at = slice(ENDS[rank], ENDS[rank + 1])
    value = _value(M2Encoder(group), x[at], y[at], ENDS[rank])
    value.backward()
    assert x.grad is not None and y.grad is not None
    return value.detach(), x.grad, y.grad


def _whole(group: int) -> tuple[float, Tensor, Tensor]:
    """The means over four processes, as after averaging gradients."""
    value, *gradients = (torch.stack(parts).mean(0) for parts in zip(*run(_part, 4, group), strict=True))
    return float(value), gradients[0], gradients[1]


def test_oracle() -> None:
    value, *gradients = _whole(2)
    x, y = (points.tolist() for points in _points())
    assert value == pytest.approx(_defined(x, y), abs=1e-12)
    for rows, gradient in zip((x, y), gradients, strict=True):
        for i, k in ((i, k) for i in range(6) for k in range(3)):
            kept, values = rows[i][k], []
            for step in (1e-6, -1e-6):
                rows[i][k] = kept + step
                values.append(_defined(x, y))
            rows[i][k] = kept
            assert float(gradient[i, k]) == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-7)


@pytest.mark.parametrize(
    ("group", "parts"), [(2, (slice(0, 3), slice(3, 6))), (4, (slice(0, 6),)), (8, (slice(0, 6),))]
)
def test_groups_are_losses_of_one_process(group: int, parts: tuple[slice, ...]) -> None:
    found = _whole(group)
    x, y = _points()
    value = partial(_value, M2Encoder(group))  # alone it is the contrastive objective
    wanted = torch.stack([value(x[part], y[part]) for part in parts]).mean()
    wanted.backward()
    assert found[0] == pytest.approx(float(wanted.detach()), abs=1e-12)
    for a, b in zip(found[1:], (x.grad, y.grad), strict=True):
        torch.testing.assert_close(a, b)
    assert _value(Contrastive(), x, y) == value(x, y)


# One process whose losses are over parts of the batch is, in value and gradient, as many groups of processes.
CLAIM = Claim(
    says="With each loss over a quarter of the batch, as in four groups of processes, it retrieves better.",
    method=replace(RECIPE, objective="m2_encoder", settings=replace(RECIPE.settings, accumulate=4)),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
