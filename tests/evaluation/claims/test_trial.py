"""A training and its measurements: kept, found again, resumed, and told apart by all that they depend on."""

from dataclasses import replace
from pathlib import Path

import pytest

from dovetail.data.worlds import Scenes, World
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims import trial as trials
from dovetail.evaluation.claims.trial import COST, Trial, begin_peak, measured, peak_bytes, spent, trained
from tests.evaluation.claims import small

TRIAL = Trial(small.recipe(), Scenes(8, size=16, world=small.WORLD), 0)
BENCHMARK = RetrievalBenchmark(Scenes(8, 99, 16, small.WORLD))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(TRIAL, tmp_path_factory.mktemp("work"))


def test_a_training_is_kept_with_what_it_cost(done: Path) -> None:
    cost = spent(done)
    assert (cost.steps, cost.images) == (2, 8) and cost.seconds > 0 and cost.parameters > 1_000
    assert cost.peak_bytes > 50e6, "of a process that holds torch"


def test_it_is_not_trained_again(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "fit", None)
    assert trained(TRIAL, done.parent) == done


def test_a_killed_training_goes_on(tmp_path: Path) -> None:
    folder = trained(TRIAL, tmp_path)
    weights = (folder / "model.safetensors").read_bytes()
    (folder / COST).unlink()  # as if killed just before the end
    assert trained(TRIAL, tmp_path) == folder
    assert (folder / "model.safetensors").read_bytes() == weights and (folder / COST).is_file()


def test_measurements_are_kept_by_benchmark(done: Path) -> None:
    first = measured(done, BENCHMARK)
    assert first.chance["text_to_image/R@1"] > 0 and "text_to_image/R@1" in first.shares
    assert "text_to_image/median_rank" in first.figures and "text_to_image/median_rank" not in first.shares
    files = sorted(done.glob("measured-*.json"))
    assert measured(done, BENCHMARK) == first and sorted(done.glob("measured-*.json")) == files
    measured(done, replace(BENCHMARK, ks=(2,)))
    assert len(list(done.glob("measured-*.json"))) == len(files) + 1


@pytest.mark.parametrize(
    "other",
    [
        replace(TRIAL, seed=1),
        replace(TRIAL, recipe=small.recipe("siglip")),
        replace(TRIAL, recipe=small.recipe(steps=3)),
        replace(TRIAL, train=replace(TRIAL.train, world=World())),
        replace(TRIAL, validation=TRIAL.train),
    ],
    ids=["seed", "objective", "steps", "data", "validation"],
)
def test_what_makes_it_another_training(other: Trial) -> None:
    assert other.fingerprint != TRIAL.fingerprint == replace(TRIAL).fingerprint


def test_the_code_of_its_methods_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []
    monkeypatch.setattr(trials, "code", lambda modules: seen.append(set(modules)) or "")
    _ = TRIAL.fingerprint, replace(TRIAL, recipe=small.recipe("contrastive(loss=siglip)")).fingerprint
    for module in ("encoders.vit", "encoders.text_transformer", "similarities.cosine", "objectives.contrastive"):
        assert all(f"dovetail.methods.{module}" in modules for modules in seen)
    assert "dovetail.methods.pair_losses.siglip" in seen[1] - seen[0]
    assert "dovetail.methods.pair_losses.infonce" in seen[0] - seen[1]


def test_every_seed_has_scenes_of_its_own() -> None:
    sources = [replace(TRIAL, seed=seed).source for seed in (0, 1)]
    assert isinstance(sources[0], Scenes) and isinstance(sources[1], Scenes)
    assert sources[0].scene(0) != sources[1].scene(0)


def test_the_peak_is_forgotten_and_found_again() -> None:
    begin_peak()
    before = peak_bytes()
    held = bytearray(200_000_000)
    held[::4096] = b"x" * len(held[::4096])
    assert peak_bytes() - before > 150e6


def test_methods_that_a_method_builds_count_as_its_own() -> None:
    found = trials.methods_of(replace(small.RECIPE, objective="clip"))
    assert {f"dovetail.methods.{name}" for name in ("objectives.contrastive", "pair_losses.infonce")} <= found
