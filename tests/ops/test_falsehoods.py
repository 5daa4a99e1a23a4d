"""Images that tell their texts from false ones, against the definition in loops."""

import math

import pytest
import torch

from dovetail.ops.falsehoods import against_own

# Image 1 has no false text, image 2 no true one, image 3 no text at all.
OWNER, FALSE = [0, 0, 1, 2, 0, 4, 4, 0, 4], [0, 1, 0, 1, 1, 0, 1, 0, 0]


def oracle(scores: list[float], image: int) -> float:
    true = [s for s, o, f in zip(scores, OWNER, FALSE, strict=True) if o == image and not f]
    false = [s for s, o, f in zip(scores, OWNER, FALSE, strict=True) if o == image and f]
    if not true or not false:
        return 0.0
    return sum(-math.log(math.exp(t) / (math.exp(t) + sum(map(math.exp, false)))) for t in true) / len(true)


def test_value_and_gradient() -> None:
    scores = torch.randn(9, dtype=torch.float64, requires_grad=True)
    costs, known = against_own(scores, torch.tensor(OWNER), torch.tensor(FALSE).bool(), 5)
    assert known.tolist() == [True, False, False, False, True]
    assert costs.tolist() == pytest.approx([oracle(scores.tolist(), i) for i in range(5)], abs=1e-12)
    weights = torch.randn(5, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((costs * weights).sum(), scores)
    for k in range(9):
        ends = []
        for step in (1e-6, -1e-6):
            moved = scores.tolist()
            moved[k] += step
            ends.append(sum(w * oracle(moved, i) for i, w in enumerate(weights.tolist())))
        assert float(gradient[k]) == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-8)


def test_large_scores_neither_overflow_nor_vanish() -> None:
    scores = torch.tensor([1e4, 9e3, -2e4], requires_grad=True)
    costs, _ = against_own(scores, torch.tensor([0, 0, 1]), torch.tensor([False, True, False]), 2)
    assert costs.tolist() == [0.0, 0.0]
    costs, _ = against_own(scores, torch.tensor([0, 0, 0]), torch.tensor([True, False, False]), 1)
    assert costs.item() == pytest.approx(15_500)
    costs.sum().backward()
    assert scores.grad is not None and scores.grad.isfinite().all()


def test_without_false_texts_nothing_is_paid() -> None:
    scores = torch.randn(3, requires_grad=True)
    costs, known = against_own(scores, torch.tensor([0, 1, 1]), torch.zeros(3, dtype=torch.bool), 2)
    assert costs.tolist() == [0.0, 0.0] and not known.any()
    costs.sum().backward()
    assert scores.grad is not None and scores.grad.tolist() == [0.0] * 3
    costs, _ = against_own(scores[:0], torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.bool), 2)
    assert costs.tolist() == [0.0, 0.0]
