"""Running claims: what is shared, what is stale, what is kept, and that the outcome says what was measured."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from dovetail.data.records import DataError
from dovetail.evaluation.claims import runner
from dovetail.evaluation.claims.runner import commit, fingerprint, place, stale, trials, verify
from dovetail.evaluation.claims.trial import Taught, Trial
from dovetail.models.teacher import FrozenTeacher
from tests.evaluation.claims import small

QUIET = Console(quiet=True)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Trial]:
    """The trainings that are really carried out."""
    made: list[Trial] = []
    carry_out = runner.carry_out

    def count(trial: Trial, *rest: object) -> float:
        made.append(trial)
        return carry_out(trial, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(runner, "carry_out", count)
    return made


def test_claims_share_trainings_and_each_outcome_is_written(tmp_path: Path, counted: list[Trial]) -> None:
    first = small.found("siglip")
    second = small.found("negclip", method=small.recipe("siglip(initial_bias=-5)"))
    done = verify([first, second], tmp_path / "results", tmp_path / "work", console=QUIET)
    assert [outcome.key for outcome in done] == ["siglip", "negclip"]
    assert len(counted) == 9, "three seeds of two methods and of one baseline"
    held = json.loads((tmp_path / "results" / "siglip.json").read_text())
    assert held["verdict"] in ("reproduced", "no difference", "reversed")
    for seed in held["seeds"]:
        assert seed["difference"] == pytest.approx(seed["method"] - seed["baseline"])
    assert held["difference"]["value"] == pytest.approx(sum(s["difference"] for s in held["seeds"]) / 3)
    assert held["made"]["seconds"] > 0 and held["made"]["device"] and held["made"]["versions"]["torch"]
    assert held["costs"]["method"]["images_per_second"] > 0
    assert 0 < held["chance"] < 1


def test_what_was_finished_is_not_done_again(tmp_path: Path, counted: list[Trial]) -> None:
    results, work, claim = tmp_path / "results", tmp_path / "work", small.found()
    assert stale(claim, results)
    done = verify([claim], results, work, console=QUIET)
    assert not stale(claim, results)
    folders = {path: path.stat().st_mtime_ns for path in work.glob("*/cost.json")}
    again = verify([claim], results, work, console=QUIET)  # nothing is trained: the work is there
    assert {path: path.stat().st_mtime_ns for path in work.glob("*/cost.json")} == folders
    assert again[0].seeds == done[0].seeds


def test_killed_and_resumed_equals_never_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = small.found()
    whole = verify([claim], tmp_path / "results", tmp_path / "a", console=QUIET)
    with monkeypatch.context() as patched:
        patched.setattr(runner, "carry_out", _dies_after(3))
        with pytest.raises(KeyboardInterrupt):
            verify([claim], tmp_path / "other", tmp_path / "b", console=QUIET)
    assert not list((tmp_path / "other").glob("*")), "an outcome is written whole or not at all"
    resumed = verify([claim], tmp_path / "other", tmp_path / "b", console=QUIET)
    assert resumed[0].seeds == whole[0].seeds and resumed[0].difference == whole[0].difference


def _dies_after(trainings: int) -> object:
    left = [trainings]
    carry_out = runner.carry_out

    def dies(*arguments: object) -> float:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return carry_out(*arguments)  # type: ignore[arg-type]

    return dies


def test_two_jobs_find_what_one_finds(tmp_path: Path) -> None:
    claim = small.found()
    one = verify([claim], tmp_path / "a", tmp_path / "work", 1, QUIET)
    two = verify([claim], tmp_path / "b", tmp_path / "more", 2, QUIET)
    assert [s.seed for s in two[0].seeds] == [0, 1, 2]
    for a, b in zip(one[0].seeds, two[0].seeds, strict=True):
        assert (a.method, a.baseline) == pytest.approx((b.method, b.baseline), abs=0.13), "one of eight answers apart"


def test_a_change_of_the_claim_makes_it_stale(tmp_path: Path) -> None:
    claim = small.claim()
    others = [
        replace(claim, says="It is much better."),
        replace(claim, metric="image_to_text/R@1"),
        replace(claim, better="lower"),
        replace(claim, seeds=(0, 1, 3)),
        replace(claim, method=small.recipe("siglip", steps=3)),
        replace(claim, benchmark=replace(claim.benchmark, limit=4)),  # type: ignore[type-var]
    ]
    prints = {fingerprint(other) for other in [claim, *others]}
    assert len(prints) == 7 and fingerprint(replace(claim)) in prints


def test_a_claim_about_a_change_trains_its_references_too() -> None:
    claim = small.claim(references=(small.recipe("siglip", 3), small.recipe("infonce", 3)))
    assert len({t.fingerprint for t in trials(claim).values()}) == 12


def test_a_teacher_is_trained_once_and_first(
    tmp_path: Path, counted: list[Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    named: list[str] = []
    open_teacher = FrozenTeacher.named
    monkeypatch.setattr(FrozenTeacher, "named", lambda name, pupil: named.append(name) or open_teacher(name, pupil))
    pupils = small.recipe("distillation(teacher='{teacher}')"), small.recipe("distillation('{teacher}', feature=0)")
    claim = small.found(method=pupils[0], references=(pupils[1], small.recipe()), teacher=small.recipe(steps=1))
    verify([claim], tmp_path / "results", tmp_path / "work", console=QUIET)
    assert [trial.recipe.steps for trial in counted] == [1] * 3 + [2] * 9, "the baseline and its reference are one"
    taught = [trial for trial in counted if isinstance(trial, Taught)]
    assert named == [str(tmp_path / "work" / trial.teacher.fingerprint) for trial in taught] and len(named) == 6
    assert all(trial.seed == trial.teacher.seed for trial in taught)
    longer = replace(claim.claim, teacher=small.recipe(steps=2))
    ours, theirs = ({at: t.fingerprint for at, t in trials(c).items()} for c in (claim.claim, longer))
    assert {role for role, seed in ours if ours[role, seed] != theirs[role, seed]} == {"method", "method_reference"}


def test_a_figure_that_is_not_measured_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no figure 'R@1'; it has image_to_text/R@1"):
        verify([small.found(metric="R@1")], tmp_path / "r", tmp_path / "w", console=QUIET)


def test_where_an_outcome_is_written(tmp_path: Path) -> None:
    claim = small.found()
    assert place(claim, tmp_path) == tmp_path / "siglip.json"
    assert place(replace(claim, scale="gpu"), tmp_path) == tmp_path / "gpu" / "siglip.json"


def test_the_commit_is_named() -> None:
    name = commit().removesuffix("+")
    assert len(name) >= 10 and int(name, 16) >= 0
