"""SLIP against its definition in loops and its authors' form, and the claim that views help."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dovetail.contracts import Features
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, larger, scenes
from dovetail.methods.objectives.contrastive import Contrastive
from dovetail.methods.objectives.slip import SLIP, Seen
from dovetail.models.contrasting import Encoded
from tests.contracts.samples import batch, begun

TEMPERATURE = 0.1


def _views(found: Tensor, ids: list[int], z: list[list[float]]) -> None:
    """The value and the gradient of the second term are those of the definition. found: the term of projected z."""

    def defined() -> float:
        unit = [[v / math.hypot(*row) for v in row] for row in z]
        total = 0.0
        for i, p in enumerate(unit):
            scores = [sum(a * b for a, b in zip(p, q, strict=True)) / TEMPERATURE for q in unit]
            same = [j for j in range(len(z)) if ids[j] == ids[i] and j != i]
            others = sum(math.exp(scores[k]) for k in range(len(z)) if ids[k] != ids[i])
            total += sum(math.log(math.exp(scores[j]) + others) - scores[j] for j in same) / len(same)
        return total / len(z)

    assert found.item() == pytest.approx(defined(), abs=1e-10)
    (gradient,) = torch.autograd.grad(found, [_POINTS])
    for i in range(len(z)):
        for k in range(len(z[0])):
            kept, ends = z[i][k], []
            for step in (1e-6, -1e-6):
                z[i][k] = kept + step
                ends.append(defined())
            z[i][k] = kept
            assert float(gradient[i, k]) == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-6)


_POINTS = torch.linspace(0, 20, 10 * 3, dtype=torch.float64).view(10, 3).cos().requires_grad_()


def _terms(objective: SLIP, points: Tensor) -> dict[str, Tensor]:
    """Of views whose vectors come through the projector as they are."""
    objective.projector = nn.Identity()
    x, y = torch.randn(5, 4, dtype=torch.float64), torch.randn(8, 4, dtype=torch.float64)
    pairs = Encoded(Features(x), Features(y), torch.tensor(3.0, dtype=torch.float64), None)
    return dict(objective.terms(Seen(pairs, points), batch(objective)))


def test_oracle() -> None:
    """Two images of the batch are the same thing."""
    ids = [7, 7, 8, 8, 9, 9, 7, 7, 11, 11]
    _views(_terms(SLIP(temperature=TEMPERATURE), _POINTS)["views"], ids, _POINTS.tolist())


def test_equals_the_authors_form() -> None:
    """Two halves of views, a mask of the diagonal, and cross-entropies; all images different."""
    objective, points = SLIP(weight=0.5), torch.randn(10, 6, dtype=torch.float64)
    objective.projector = nn.Identity()
    a, b = F.normalize(points[0::2], dim=1), F.normalize(points[1::2], dim=1)
    own, hidden = torch.arange(5), 1e9 * torch.eye(5, dtype=torch.float64)
    first = F.cross_entropy(torch.cat([a @ b.T / 0.1, a @ a.T / 0.1 - hidden], 1), own)
    second = F.cross_entropy(torch.cat([b @ a.T / 0.1, b @ b.T / 0.1 - hidden], 1), own)
    data = replace(batch(objective), ids=own)
    x, y = Features(torch.randn(5, 4).double()), Features(torch.randn(8, 4).double())
    terms = objective.terms(Seen(Encoded(x, y, torch.tensor(3.0).double(), None), points), data)
    torch.testing.assert_close(terms["views"], (first + second) / 4)


def test_the_first_term_is_the_contrastive_one_and_the_second_trains_the_tower_alone() -> None:
    objective = SLIP(inner=8, width=4)
    model: Any = begun(objective)
    data = batch(objective)
    assert model.image_projection.weight is not None
    terms = objective.terms(objective.encode(model, data), data)
    plain = Contrastive()
    torch.testing.assert_close(terms["contrastive"], plain.terms(plain.encode(model, data), data)["contrastive"])
    terms["views"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in objective.projector.parameters() if p.ndim > 1)
    assert any(p.grad is not None for p in model.image.parameters())
    assert model.image_projection.weight.grad is None and all(p.grad is None for p in model.text.parameters())


CLAIM = Claim(
    says="With a loss over two strong views of each picture it retrieves better than InfoNCE from the same pictures.",
    method=replace(RECIPE, objective="slip(inner=512, width=64)"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
CLAIM_GPU = larger(CLAIM)
