"""SigLIP against its definition in loops and open_clip's."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, larger, scenes
from dovetail.methods.pair_losses.siglip import SigLIP
from dovetail.ops.contrast import row_losses

SCORES = torch.tensor([[0.3, -1.2, 2.0, 0.5], [1.0, 0.1, -0.4, 3.0], [-2.0, 0.7, 0.2, 0.9]], dtype=torch.float64)
TARGETS = {
    "one": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]],
    "several": [[1, 1, 0, 0], [0, 1, 1, 1], [1, 0, 0, 1]],
    "none and all": [[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0]],
}


def cost(score: float, target: float) -> float:
    """Eq. 1 for one pair."""
    z = 1 if target == 1 else -1
    return -math.log(1 / (1 + math.exp(-z * score)))


def slope(score: float, target: float) -> float:
    """Its derivative by hand: how probable the wrong answer is, towards the right one."""
    z = 1 if target == 1 else -1
    return -z / (1 + math.exp(z * score))


@pytest.mark.parametrize("targets", TARGETS.values(), ids=TARGETS)
def test_oracle(targets: list[list[float]]) -> None:
    scores = SCORES.clone().requires_grad_()
    found = row_losses(SigLIP(), scores, torch.tensor(targets, dtype=torch.float64))
    found.sum().backward()
    assert scores.grad is not None
    for i, (s, t) in enumerate(zip(SCORES.tolist(), targets, strict=True)):
        assert found[i].item() == pytest.approx(sum(map(cost, s, t)), abs=1e-12)
        assert scores.grad[i].tolist() == pytest.approx(list(map(slope, s, t)), abs=1e-12)


def test_a_soft_target_mixes_the_two_answers() -> None:
    found = row_losses(SigLIP(), torch.tensor([[1.5]], dtype=torch.float64), torch.tensor([[0.3]], dtype=torch.float64))
    assert float(found) == pytest.approx(0.3 * cost(1.5, 1) + 0.7 * cost(1.5, 0), abs=1e-12)


def test_a_pair_knows_nothing_of_other_pairs() -> None:
    scores, targets = torch.randn(2, 3), torch.eye(2, 3)
    alone = sum(row_losses(SigLIP(), scores[:, j : j + 1], targets[:, j : j + 1]) for j in range(3))
    torch.testing.assert_close(row_losses(SigLIP(), scores, targets), alone)


def test_equals_open_clip() -> None:
    loss = pytest.importorskip("open_clip").loss.SigLipLoss()
    images, texts = (F.normalize(torch.randn(8, 5, dtype=torch.float64), dim=1).requires_grad_() for _ in range(2))
    scale, bias = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (9.0, -8.0))
    leaves = (images, texts, scale, bias)
    theirs = loss(images, texts, scale, bias)
    scores, targets = scale * images @ texts.T + bias, torch.eye(8, dtype=torch.float64)
    ours = (row_losses(SigLIP(), scores, targets).mean() + row_losses(SigLIP(), scores.T, targets).mean()) / 2
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    for a, b in zip(torch.autograd.grad(ours, leaves), torch.autograd.grad(theirs, leaves), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_starts_where_the_paper_starts() -> None:
    assert (SigLIP().initial_scale, SigLIP().initial_bias) == (10.0, -10.0)
    given = SigLIP(initial_scale=3.0, initial_bias=-1.0)
    assert (given.initial_scale, given.initial_bias) == (3.0, -1.0)


# Gradients are accumulated over eight losses of 16 pairs, so that steps, pictures and optimiser are equal.
SMALL = replace(RECIPE, settings=replace(RECIPE.settings, accumulate=8))
CLAIM = Claim(
    says="When a loss sees 16 pairs instead of 128, it loses less retrieval than InfoNCE does.",
    method=replace(SMALL, objective="siglip"),
    baseline=replace(SMALL, objective="infonce"),
    references=(replace(RECIPE, objective="siglip"), replace(RECIPE, objective="infonce")),
    train=scenes(GROUPS),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
CLAIM_GPU = larger(CLAIM)
