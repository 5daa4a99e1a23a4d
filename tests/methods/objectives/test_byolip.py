"""BYOLIP against its definition in loops, and the claim that a teacher helps."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from dovetail.contracts import Features
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, larger, scenes
from dovetail.methods.objectives.byolip import BYOLIP, Taught
from dovetail.models.contrasting import Encoded, Raised
from dovetail.nn.trailing import Trailing
from tests.contracts.samples import batch, begun
from tests.methods.finite import same_slopes

OWNER, NEGATIVE = [0, 0, 1, 2, 2, 2, 3, 4], 4  # of the sample batch


class Reversed(nn.Module):
    """A head whose prediction is the vector in reverse."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x.flip(1)


def _distance(p: list[float], v: list[float]) -> float:
    a, b = ([n / math.hypot(*w) for n in w] for w in (p, v))
    return sum((i - j) ** 2 for i, j in zip(a, b, strict=True))


def test_oracle() -> None:
    x, y = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (5, 8))
    taught = torch.randn(5, 3).double(), torch.randn(8, 3).double()
    scale = torch.tensor(3.0, dtype=torch.float64)
    pairs = Encoded(Features(torch.randn(5, 3).double()), Features(torch.randn(8, 3).double()), scale, None)
    objective = BYOLIP()
    objective.heads = nn.ModuleList([Reversed(), Reversed()])
    objective.projectors = Trailing(nn.ModuleList([nn.Identity(), nn.Identity()]))
    found = objective.terms(Taught(Raised(pairs, x, y), *taught), batch(objective))["predictions"]
    xs, ys, images, texts = x.tolist(), y.tolist(), taught[0].tolist(), taught[1].tolist()

    def defined() -> float:
        costs = [
            (_distance(xs[i][::-1], texts[j]) + _distance(ys[j][::-1], images[i])) / 2
            for j, i in enumerate(OWNER)
            if j != NEGATIVE
        ]
        return sum(costs) / len(costs)

    assert found.item() == pytest.approx(defined(), abs=1e-12)
    gradients = torch.autograd.grad(found, [x, y])
    same_slopes(defined, list(zip((xs, ys), gradients, strict=True)))


def test_the_teacher_is_a_copy_that_trails() -> None:
    objective = BYOLIP(inner=8, width=4, decay=0.5)
    model = begun(objective)
    pupil, teacher = next(model.image.parameters()), next(objective.towers.module[0].parameters())
    assert teacher.equal(pupil) and not teacher.requires_grad
    with torch.no_grad():
        pupil += 1
    objective.advance(model, 0.0)
    torch.testing.assert_close(teacher, pupil - 0.5)
    objective.advance(model, 1.0)
    torch.testing.assert_close(teacher, pupil - 0.5), "at the end it stands still"


CLAIM = Claim(
    says="With predictions of what a trailing teacher makes of the other side it retrieves better than InfoNCE alone.",
    method=replace(RECIPE, objective="byolip(inner=512, width=64, decay=0.98)"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
CLAIM_GPU = larger(CLAIM)
