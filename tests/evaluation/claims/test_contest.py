"""What differences between contenders are taken over."""

import pytest

from dovetail.evaluation.claims.contest import _timed, _warnings, differences, over_seeds
from dovetail.evaluation.intervals import Estimate, bootstrap, mean
from dovetail.evaluation.result import Result


def result(*values: float) -> Result:
    torch = pytest.importorskip("torch")
    found = bootstrap({"R": mean(torch.tensor(values, dtype=torch.float64))}, len(values), shares=("R",))
    return Result("retrieval", found)


def test_one_seed_is_compared_item_by_item() -> None:
    a, b = result(1, 1, 0, 1, 0, 1), result(1, 0, 0, 1, 0, 1)
    found = differences([a], [b])["R"]
    assert found.value == pytest.approx(1 / 6) and found.low == 0 and found.share, "they differ in one item only"
    assert over_seeds([a])["R"] == Estimate(a["R"].value, a["R"].low, a["R"].high, True)


def test_several_seeds_are_compared_seed_by_seed() -> None:
    ours, theirs = [result(1, 1), result(1, 0), result(0, 1)], [result(1, 0), result(0, 0), result(0, 0)]
    found = differences(ours, theirs)["R"]
    assert found.value == pytest.approx(0.5) and (found.low, found.high) == (0.5, 0.5), "always by a half"
    mean_of = over_seeds(ours)["R"]
    assert mean_of.value == pytest.approx(2 / 3) and mean_of.low < 0.5 < 1 < mean_of.high + 0.5


def test_an_evaluation_stands_at_the_time_of_the_step_before_it() -> None:
    rows = [{"step": 1, "seconds": 2.0}, {"step": 1, "val/mean_recall": 5.0}, {"step": 2, "seconds": 4.0}]
    assert [row["seconds"] for row in _timed(rows)] == [2.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("scores", "warned"), [([1, 5, 9], True), ([1, 9, 9.2], False), ([1, 9, 5], False), ([3], False)]
)
def test_who_still_improves_is_named(scores: list[float], warned: bool) -> None:
    rows = [{"val/mean_recall": float(s)} for s in scores]
    assert bool(_warnings(rows)) == warned
