"""A module that trails another one."""

from typing import Any

import pytest
import torch
from torch import nn

from dovetail.nn.trailing import Trailing, slowing


def test_it_is_a_running_mean_that_learns_nothing() -> None:
    pupil: Any = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    teacher: Any = Trailing(pupil).train()
    before = teacher.module[0].weight.clone()
    assert torch.equal(before, pupil[0].weight) and teacher.module[0].weight is not pupil[0].weight
    assert not teacher.module[2].training and not any(p.requires_grad for p in teacher.parameters())
    nn.init.constant_(pupil[0].weight, 1.0)
    pupil(torch.randn(4, 2))
    teacher.follow(pupil, 0.75)
    torch.testing.assert_close(teacher.module[0].weight, 0.75 * before + 0.25)
    assert int(teacher.module[1].num_batches_tracked) == 1
    assert not teacher(torch.randn(4, 2, requires_grad=True)).requires_grad


@pytest.mark.parametrize(("progress", "decay"), [(0.0, 0.9), (0.5, 0.95), (1.0, 1.0), (1.5, 1.0)])
def test_the_decay_rises_to_one(progress: float, decay: float) -> None:
    assert slowing(0.9, progress) == pytest.approx(decay)
