"""InfoLOOB against its definition in loops, and against InfoNCE."""

import math

import pytest
import torch

from dovetail.methods.pair_losses.infoloob import InfoLOOB
from dovetail.methods.pair_losses.infonce import InfoNCE
from dovetail.ops.contrast import row_losses
from tests.methods.pair_losses.test_infonce import SCORES, TARGETS


def row(scores: list[float], targets: list[float]) -> float:
    """Each positive against the row's negatives alone, weighted by the targets."""
    negatives = sum(math.exp(s) for s, t in zip(scores, targets, strict=True) if t == 0)
    if not negatives:
        return 0.0
    total = sum(targets)
    return sum(t / total * (math.log(negatives) - s) for s, t in zip(scores, targets, strict=True) if t > 0)


def gradient(scores: list[float], targets: list[float]) -> list[float]:
    """By hand: every positive is pulled by its whole weight, the negatives share the push."""
    negatives = sum(math.exp(s) for s, t in zip(scores, targets, strict=True) if t == 0)
    total = sum(targets)
    if not negatives or not total:
        return [0.0] * len(scores)
    return [-t / total if t > 0 else math.exp(s) / negatives for s, t in zip(scores, targets, strict=True)]


@pytest.mark.parametrize("targets", TARGETS.values(), ids=TARGETS)
def test_oracle(targets: list[list[float]]) -> None:
    scores = SCORES.clone().requires_grad_()
    found = row_losses(InfoLOOB(), scores, torch.tensor(targets, dtype=torch.float64))
    found.sum().backward()
    assert scores.grad is not None
    for i, (s, t) in enumerate(zip(SCORES.tolist(), targets, strict=True)):
        assert found[i].item() == pytest.approx(row(s, t), abs=1e-12)
        assert scores.grad[i].tolist() == pytest.approx(gradient(s, t), abs=1e-12)


def test_does_not_saturate_where_infonce_does() -> None:
    targets = torch.tensor([[1.0, 0.0, 0.0]])
    pulls = []
    for loss in (InfoNCE(), InfoLOOB()):
        scores = torch.tensor([[30.0, 0.0, 1.0]], requires_grad=True)
        row_losses(loss, scores, targets).sum().backward()
        assert scores.grad is not None
        pulls.append(-float(scores.grad[0, 0]))
    assert pulls[0] < 1e-9 and pulls[1] == 1.0
