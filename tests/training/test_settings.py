"""How far along a run is."""

import pytest

from dovetail.training.settings import Minutes, Steps


@pytest.mark.parametrize(("step", "share"), [(0, 0.0), (3, 0.25), (12, 1.0), (13, 13 / 12)])
def test_steps_count_steps_only(step: int, share: float) -> None:
    assert Steps(12).progress(step, seconds=1e6) == share


@pytest.mark.parametrize(("seconds", "share"), [(0.0, 0.0), (45.0, 0.25), (180.0, 1.0), (270.0, 1.5)])
def test_minutes_count_time_only(seconds: float, share: float) -> None:
    assert Minutes(3).progress(10**6, seconds) == share
