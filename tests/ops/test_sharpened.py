"""The cross-entropy of self-distillation against loops."""

import math

import pytest
import torch

from dovetail.ops.sharpened import sharpened_cross_entropy


def test_oracle() -> None:
    pupil, teacher = (torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    centre = torch.randn(4, dtype=torch.float64)

    def defined(s: list[float], t: list[float]) -> float:
        powers = [math.exp((v - c) / 0.07) for v, c in zip(t, centre.tolist(), strict=True)]
        below = math.log(sum(math.exp(v / 0.1) for v in s))
        return sum(p / sum(powers) * (below - v / 0.1) for p, v in zip(powers, s, strict=True))

    found = sharpened_cross_entropy(pupil, teacher, centre, (0.1, 0.07))
    rows, others = pupil.tolist(), teacher.tolist()
    assert found.tolist() == pytest.approx([defined(s, t) for s, t in zip(rows, others, strict=True)], abs=1e-9)
    found.sum().backward()
    assert pupil.grad is not None and teacher.grad is None
    for i in range(3):
        for k in range(4):
            kept, ends = rows[i][k], []
            for step in (1e-6, -1e-6):
                rows[i][k] = kept + step
                ends.append(defined(rows[i], others[i]))
            rows[i][k] = kept
            assert float(pupil.grad[i, k]) == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-6)


def test_half_precision_is_computed_in_full() -> None:
    pupil, teacher = torch.randn(2, 5).bfloat16(), torch.randn(2, 5).bfloat16()
    found = sharpened_cross_entropy(pupil, teacher, torch.zeros(5), (0.1, 0.04))
    torch.testing.assert_close(
        found, sharpened_cross_entropy(pupil.float(), teacher.float(), torch.zeros(5), (0.1, 0.04))
    )
