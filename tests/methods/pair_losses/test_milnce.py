"""MIL-NCE against its definition in loops, its authors' form for one direction, and InfoNCE."""

import math
from dataclasses import replace

import pytest
import torch

from dovetail.data.worlds import Noise, Telling
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, scenes
from dovetail.methods.pair_losses.infonce import InfoNCE
from dovetail.methods.pair_losses.milnce import MILNCE
from dovetail.ops.contrast import row_losses
from tests.methods.pair_losses.test_infonce import SCORES, TARGETS


def row(scores: list[float], targets: list[float]) -> float:
    """The positives' weighted sum beside all; nothing without positives."""
    positives = sum(t * math.exp(s) for s, t in zip(scores, targets, strict=True))
    negatives = sum(math.exp(s) for s, t in zip(scores, targets, strict=True) if t == 0)
    return -math.log(positives / (positives + negatives)) if positives else 0.0


@pytest.mark.parametrize("targets", TARGETS.values(), ids=TARGETS)
def test_oracle(targets: list[list[float]]) -> None:
    scores = SCORES.clone().requires_grad_()
    found = row_losses(MILNCE(), scores, torch.tensor(targets, dtype=torch.float64))
    found.sum().backward()
    assert scores.grad is not None
    for i, (s, t) in enumerate(zip(SCORES.tolist(), targets, strict=True)):
        assert found[i].item() == pytest.approx(row(s, t), abs=1e-12)
        for j in range(len(s)):
            ends = [row([*s[:j], s[j] + step, *s[j + 1 :]], t) for step in (1e-6, -1e-6)]
            assert float(scores.grad[i, j]) == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-8)


def test_equals_the_authors_form_for_rows_of_videos() -> None:
    """Five videos with three texts each, in blocks; their denominator without the other direction."""
    scores = 2 * torch.randn(5, 15, dtype=torch.float64)
    blocks = scores.view(5, 5, 3)
    own = blocks[torch.arange(5), torch.arange(5)].logsumexp(1)
    targets = torch.eye(5, dtype=torch.float64).repeat_interleave(3, 1)
    torch.testing.assert_close(row_losses(MILNCE(), scores, targets), scores.logsumexp(1) - own)


def test_with_one_positive_it_is_infonce() -> None:
    scores, targets = 3 * torch.randn(4, 6, dtype=torch.float64), torch.eye(4, 6, dtype=torch.float64)
    torch.testing.assert_close(row_losses(MILNCE(), scores, targets), row_losses(InfoNCE(), scores, targets))


def test_a_positive_that_fits_badly_is_left_alone_when_another_fits() -> None:
    targets = torch.tensor([[1.0, 1.0, 0.0]])
    pulls = []
    for loss in (MILNCE(), InfoNCE()):
        scores = torch.tensor([[8.0, -8.0, 0.0]], requires_grad=True)
        row_losses(loss, scores, targets).sum().backward()
        assert scores.grad is not None
        pulls.append(-float(scores.grad[0, 1]))
    assert pulls[0] < 1e-6 and pulls[1] > 0.4


# Three texts an image, of which each is another scene's with a probability of a half.
NARRATED = replace(GROUPS, telling=Telling(("short", "full", "related"), noise=Noise(swapped=0.5)))
SEVERAL = replace(RECIPE, captions_per_image=3)
CLAIM = Claim(
    says="Of three texts an image, half of them another image's, it learns to retrieve better than InfoNCE does.",
    method=replace(SEVERAL, objective="milnce"),
    baseline=replace(SEVERAL, objective="infonce"),
    train=scenes(NARRATED),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
