"""BarLIP against its definition in loops, and the claim that correlations help."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from dovetail.contracts import Features
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, larger, scenes
from dovetail.methods.objectives.barlip import BarLIP
from dovetail.models.contrasting import Encoded, Raised
from tests.contracts.samples import batch, begun
from tests.methods.finite import same_slopes

OWNER, NEGATIVE, WIDTH = [0, 0, 1, 2, 2, 2, 3, 4], 4, 3  # of the sample batch


def test_oracle() -> None:
    x, y = (torch.randn(n, WIDTH, dtype=torch.float64, requires_grad=True) for n in (5, 8))
    scale = torch.tensor(3.0, dtype=torch.float64)
    pairs = Encoded(Features(torch.randn(5, 3).double()), Features(torch.randn(8, 3).double()), scale, None)
    objective = BarLIP(width=WIDTH, apart=0.3)
    objective.projectors = nn.ModuleList([nn.Identity(), nn.Identity()])
    found = objective.terms(Raised(pairs, x, y), batch(objective))["correlations"]
    xs, ys = x.tolist(), y.tolist()

    def defined() -> float:
        said = [(i, j) for j, i in enumerate(OWNER) if j != NEGATIVE]
        total = 0.0
        for a in range(WIDTH):
            for b in range(WIDTH):
                c = sum(xs[i][a] * ys[j][b] for i, j in said) / len(said)
                total += (1 - c) ** 2 if a == b else 0.3 * c**2
        return 0.025 * total

    assert found.item() == pytest.approx(defined(), abs=1e-12)
    same_slopes(defined, list(zip((xs, ys), torch.autograd.grad(found, [x, y]), strict=True)))


def test_projections_are_normalised_over_the_batch() -> None:
    objective = BarLIP(inner=8, width=4)
    model = begun(objective)
    x = torch.randn(64, model.image.width)
    found = objective.projectors[0](x)
    torch.testing.assert_close(found.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.var(0, unbiased=False), torch.ones(4), atol=1e-2, rtol=0)


CLAIM = Claim(
    says="With a loss over the correlations of both sides' projections it retrieves better than InfoNCE alone.",
    method=replace(RECIPE, objective="barlip(inner=512, width=512)"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
CLAIM_GPU = larger(CLAIM)
