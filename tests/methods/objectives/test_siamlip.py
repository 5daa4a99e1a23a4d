"""SiamLIP against its definition in loops, and the claim that predictions help."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from dovetail.contracts import Features
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, larger, scenes
from dovetail.methods.objectives.siamlip import SiamLIP
from dovetail.models.contrasting import Encoded, Raised
from tests.contracts.samples import batch, begun
from tests.methods.finite import Matrix, same_slopes

OWNER, NEGATIVE = [0, 0, 1, 2, 2, 2, 3, 4], 4  # of the sample batch


class Doubled(nn.Module):
    """A head that projects to the vector itself and predicts its reverse, doubled."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, 2 * x.flip(1)


def _distance(p: list[float], v: list[float]) -> float:
    a, b = ([n / math.hypot(*w) for n in w] for w in (p, v))
    return sum((i - j) ** 2 for i, j in zip(a, b, strict=True))


def test_oracle() -> None:
    x, y = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (5, 8))
    scale = torch.tensor(3.0, dtype=torch.float64)
    pairs = Encoded(Features(torch.randn(5, 3).double()), Features(torch.randn(8, 3).double()), scale, None)
    objective = SiamLIP(weight=0.5)
    objective.heads = nn.ModuleList([Doubled(), Doubled()])
    found = objective.terms(Raised(pairs, x, y), batch(objective))["predictions"]
    xs, ys = x.tolist(), y.tolist()
    still: tuple[Matrix, Matrix] = x.tolist(), y.tolist()  # what is predicted has no gradient

    def defined() -> float:
        costs = [
            (_distance(xs[i][::-1], still[1][j]) + _distance(ys[j][::-1], still[0][i])) / 2
            for j, i in enumerate(OWNER)
            if j != NEGATIVE
        ]
        return 0.5 * sum(costs) / len(costs)

    assert found.item() == pytest.approx(defined(), abs=1e-12)
    same_slopes(defined, [(xs, g) if k == 0 else (ys, g) for k, g in enumerate(torch.autograd.grad(found, [x, y]))])


def test_heads_learn_and_towers_with_them() -> None:
    objective = SiamLIP(inner=8, width=4)
    model = begun(objective)
    data = batch(objective)
    objective.terms(objective.encode(model, data), data)["predictions"].backward()
    assert all(p.grad is not None for p in objective.heads.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.image.parameters())
    assert model.image_projection.weight.grad is None


# The paper's own finding is that with a strong recipe the gain vanishes; every recipe here is the same for both.
CLAIM = Claim(
    says="With predictions of one side's projection by the other it retrieves better than InfoNCE alone.",
    method=replace(RECIPE, objective="siamlip(inner=512, width=64)"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
CLAIM_GPU = larger(CLAIM)
