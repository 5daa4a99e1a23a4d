"""Differences, their intervals, verdicts and the file that holds them."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from dovetail.data.records import DataError
from dovetail.evaluation.claims.outcome import Asked, Cost, Made, Measured, Outcome, outcomes, paired, read, verdict
from dovetail.evaluation.intervals import Estimate


def made(key: str = "toy") -> Outcome:
    seeds = (Measured(0, 0.5, 0.4), Measured(1, 0.6, 0.45, 0.1, 0.05), Measured(2, 0.7, 0.5))
    return Outcome(
        key=key,
        contract="PairLoss",
        scale="cpu",
        claim=Asked("It is better.", "retrieval", "R@1", "higher", "toy, 10 steps", "infonce, 10 steps"),
        seeds=seeds,
        difference=paired([s.difference for s in seeds], share=True),
        chance=0.01,
        verdict="reproduced",
        made=Made("abc", "a CPU", 12.5, "f00", {"torch": "2"}),
        costs={"method": Cost(4.0, 100.0, 5)},
    )


def test_the_interval_is_student_s() -> None:
    values = [0.1, 0.25, 0.4]
    found = paired(values)
    spread = math.sqrt(sum((v - 0.25) ** 2 for v in values) / 2)
    assert found.value == pytest.approx(0.25)
    assert found.high - found.value == pytest.approx(
        4.302652729911275 * spread / math.sqrt(3)
    )  # t of 2 degrees, 97.5 %
    assert found.value - found.low == pytest.approx(found.high - found.value)
    with pytest.raises(ValueError, match="at least two"):
        paired([0.1])


def test_the_interval_holds_the_truth_in_95_of_100_experiments() -> None:
    import random

    rng = random.Random(3)
    held = 0
    for _ in range(2_000):
        found = paired([rng.gauss(0.3, 1.0) for _ in range(4)])
        held += found.low <= 0.3 <= found.high
    assert 0.935 < held / 2_000 < 0.965


@pytest.mark.parametrize(
    ("low", "high", "better", "said"),
    [
        (0.01, 0.2, "higher", "reproduced"),
        (-0.2, -0.01, "higher", "reversed"),
        (-0.2, -0.01, "lower", "reproduced"),
        (0.01, 0.2, "lower", "reversed"),
        (-0.01, 0.2, "higher", "no difference"),
        (0.0, 0.2, "higher", "no difference"),
        (0.0, 0.0, "higher", "no difference"),
    ],
)
def test_a_verdict_needs_the_interval_to_exclude_zero(low: float, high: float, better: str, said: str) -> None:
    assert verdict(Estimate((low + high) / 2, low, high), better) == said  # type: ignore[arg-type]


def test_a_change_is_measured_from_the_references() -> None:
    assert Measured(0, 0.5, 0.3).difference == pytest.approx(0.2)
    loses_less = Measured(0, method=0.5, baseline=0.3, method_reference=0.6, baseline_reference=0.7)
    assert loses_less.difference == pytest.approx((0.5 - 0.6) - (0.3 - 0.7))


def test_written_and_read(tmp_path: Path) -> None:
    outcome = replace(made(), claim=replace(made().claim, references=("a", "b")))
    outcome.write(tmp_path / "toy.json")
    assert read(tmp_path / "toy.json") == outcome
    held = json.loads((tmp_path / "toy.json").read_text())
    assert [s["difference"] for s in held["seeds"]] == [s.difference for s in outcome.seeds]
    assert (outcome.method_mean, outcome.baseline_mean) == (pytest.approx(0.6), pytest.approx(0.45))
    assert [p.name for p in tmp_path.iterdir()] == ["toy.json"], "nothing is left beside it"


def test_other_files_are_passed_over_and_broken_ones_named(tmp_path: Path) -> None:
    made("b").write(tmp_path / "b.json")
    made("a").write(tmp_path / "z.json")
    (tmp_path / "speed.json").write_text('{"images_per_second": 3}')
    assert [o.key for o in outcomes(tmp_path)] == ["a", "b"]
    assert read(tmp_path / "none.json") is None
    (tmp_path / "b.json").write_text('{"verdict": "reproduced"')
    with pytest.raises(DataError, match=r"b\.json: not an outcome"):
        outcomes(tmp_path)


def test_an_experiment_in_which_nobody_is_above_chance_says_so() -> None:
    seeds = (Measured(0, 0.51, 0.5), Measured(1, 0.49, 0.51), Measured(2, 0.505, 0.49))
    learnt = tuple(replace(s, baseline=s.baseline + 0.2) for s in seeds)
    assert replace(made(), seeds=seeds, chance=0.5).at_chance
    assert not replace(made(), seeds=learnt, chance=0.5).at_chance
    assert not replace(made(), seeds=seeds, chance=None).at_chance
    errors = replace(made().claim, better="lower")
    assert replace(made(), seeds=learnt, chance=0.9, claim=errors).at_chance is False
