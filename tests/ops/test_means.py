"""Means over processes."""

import pytest
import torch
from torch import Tensor

from dovetail.ops.means import weighted_mean
from tests.processes import run

WEIGHTS = torch.tensor([1.0, 0.0, 2.0, 0.5, 1.5], dtype=torch.float64)


def _values() -> Tensor:
    return torch.tensor([3.0, -1.0, 0.25, 7.0, -2.0], dtype=torch.float64, requires_grad=True)


def test_equals_its_definition() -> None:
    pairs = list(zip(_values().tolist(), WEIGHTS.tolist(), strict=True))
    wanted = sum(v * w for v, w in pairs) / sum(w for _, w in pairs)
    assert weighted_mean(_values(), WEIGHTS).item() == pytest.approx(wanted, abs=1e-12)


def _part(rank: int) -> tuple[Tensor, Tensor]:
    values, part = _values(), (slice(0, 1), slice(1, None))[rank]
    found = weighted_mean(values[part], WEIGHTS[part])
    found.backward()
    assert values.grad is not None
    return found.detach(), values.grad


def test_two_processes_are_one() -> None:
    parts, values = run(_part, 2), _values()
    whole = weighted_mean(values, WEIGHTS)
    whole.backward()
    torch.testing.assert_close(sum(p[0] for p in parts) / 2, whole.detach())
    torch.testing.assert_close(sum(p[1] for p in parts) / 2, values.grad)


def test_nothing_of_any_weight_is_nothing() -> None:
    assert weighted_mean(_values(), 0 * WEIGHTS).item() == 0
