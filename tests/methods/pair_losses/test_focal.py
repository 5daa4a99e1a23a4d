"""The focal loss against its definition in loops, and against InfoNCE."""

import math
from dataclasses import replace

import pytest
import torch

from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, larger, scenes
from dovetail.methods.pair_losses.focal import Focal
from dovetail.methods.pair_losses.infonce import InfoNCE
from dovetail.ops.contrast import row_losses
from tests.methods.pair_losses.test_infonce import SCORES, TARGETS


def row(scores: list[float], targets: list[float], gamma: float) -> float:
    """Each positive against the row's negatives, weighted by the targets."""
    negatives = sum(math.exp(s) for s, t in zip(scores, targets, strict=True) if t == 0)
    found = 0.0
    for s, t in zip(scores, targets, strict=True):
        if t > 0:
            q = math.exp(s) / (math.exp(s) + negatives)
            found -= t / sum(targets) * (1 - q) ** gamma * math.log(q)
    return found


@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("targets", TARGETS.values(), ids=TARGETS)
def test_oracle(targets: list[list[float]], gamma: float) -> None:
    scores = SCORES.clone().requires_grad_()
    found = row_losses(Focal(gamma), scores, torch.tensor(targets, dtype=torch.float64))
    found.sum().backward()
    assert scores.grad is not None
    for i, (s, t) in enumerate(zip(SCORES.tolist(), targets, strict=True)):
        assert found[i].item() == pytest.approx(row(s, t, gamma), abs=1e-12)
        if not all(t):  # without a negative there is no slope to either side
            for j in range(len(s)):
                ends = [row([*s[:j], s[j] + step, *s[j + 1 :]], t, gamma) for step in (1e-6, -1e-6)]
                assert float(scores.grad[i, j]) == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-8)


def test_gamma_of_0_is_infonce_and_an_easy_pair_costs_a_hundredth() -> None:
    scores, targets = 3 * torch.randn(5, 7, dtype=torch.float64), (torch.rand(5, 7) < 0.3).double()
    torch.testing.assert_close(row_losses(Focal(0.0), scores, targets), row_losses(InfoNCE(), scores, targets))
    easy = torch.tensor([[math.log(9.0), 0.0]]), torch.tensor([[1.0, 0.0]])  # q = 0.9
    torch.testing.assert_close(row_losses(Focal(), *easy), row_losses(InfoNCE(), *easy) / 100)


CLAIM = Claim(
    says="With its gradient on the pairs that are still confused, it learns to retrieve better than InfoNCE does.",
    method=replace(RECIPE, objective="focal"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
CLAIM_GPU = larger(CLAIM)
