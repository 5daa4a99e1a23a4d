"""SwALIP against its definition in loops, and the claim that foretold assignments help."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from dovetail.contracts import Features
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, larger, scenes
from dovetail.methods.objectives.swalip import SwALIP
from dovetail.models.contrasting import Encoded, Raised
from tests.contracts.samples import batch
from tests.methods.finite import Matrix, same_slopes

OWNER, NEGATIVE, K = [0, 0, 1, 2, 2, 2, 3, 4], 4, 4  # of the sample batch; prototypes


def _scores(rows: Matrix, places: Matrix) -> Matrix:
    return [
        [sum(a * b for a, b in zip(r, p, strict=True)) / (math.hypot(*r) * math.hypot(*p)) for p in places]
        for r in rows
    ]


def _shared(scores: Matrix) -> Matrix:
    """The authors' rounds: rows of prototypes to 1 / K, columns of items to 1 / n, three times."""
    q = [[math.exp(s / 0.05) for s in row] for row in scores]
    for _ in range(3):
        sums = [sum(row[k] for row in q) for k in range(K)]
        q = [[v / sums[k] / K for k, v in enumerate(row)] for row in q]
        q = [[v / sum(row) / len(q) for v in row] for row in q]
    return [[v * len(q) for v in row] for row in q]


def test_oracle() -> None:
    x, y = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (5, 8))
    places = nn.Parameter(torch.randn(K, 3, dtype=torch.float64))
    scale = torch.tensor(3.0, dtype=torch.float64)
    pairs = Encoded(Features(torch.randn(5, 3).double()), Features(torch.randn(8, 3).double()), scale, None)
    objective = SwALIP(prototypes=K)
    objective.projectors, objective.places = nn.ModuleList([nn.Identity(), nn.Identity()]), places
    found = objective.terms(Raised(pairs, x, y), batch(objective))["assignments"]
    xs, ys, ps = x.tolist(), y.tolist(), places.tolist()
    said = [(i, j) for j, i in enumerate(OWNER) if j != NEGATIVE]

    def scored() -> tuple[Matrix, Matrix]:
        return _scores([xs[i] for i, _ in said], ps), _scores([ys[j] for _, j in said], ps)

    wanted = [_shared(s) for s in scored()]  # without a gradient

    def foretold(scores: Matrix, true: Matrix) -> float:
        total = 0.0
        for row, q in zip(scores, true, strict=True):
            every = math.log(sum(math.exp(s / 0.1) for s in row))
            total -= sum(w * (s / 0.1 - every) for s, w in zip(row, q, strict=True))
        return total / len(scores)

    def defined() -> float:
        a, b = scored()
        return 0.2 * (foretold(a, wanted[1]) + foretold(b, wanted[0])) / 2

    assert found.item() == pytest.approx(defined(), abs=1e-9)
    same_slopes(defined, list(zip((xs, ys, ps), torch.autograd.grad(found, [x, y, places]), strict=True)))


CLAIM = Claim(
    says="With assignments to prototypes that each side foretells of the other it retrieves better than InfoNCE alone.",
    method=replace(RECIPE, objective="swalip(prototypes=256, inner=512, width=64)"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
CLAIM_GPU = larger(CLAIM)
