"""Several objectives on the same data with the same budget, and what can be concluded."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from statistics import fmean

from rich.console import Console

from dovetail.data.images import decode
from dovetail.data.records import DataError
from dovetail.data.survey import need_captions, survey
from dovetail.evaluation.adapter import Embedder
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.outcome import paired
from dovetail.evaluation.claims.runner import commit
from dovetail.evaluation.claims.sources import Source, opened
from dovetail.evaluation.claims.trial import Trial, machine, model_in, spent, trained
from dovetail.evaluation.comparison import Comparison, Contender
from dovetail.evaluation.intervals import Estimate, difference
from dovetail.evaluation.result import Result
from dovetail.training.assemble import check_requirements, make_objective
from dovetail.training.log import read_log
from dovetail.training.recipe import Recipe
from dovetail.training.run import has_gpu

MAIN = "mean_recall"
LIBRARIES = ("torch", "timm", "transformers")


def contest(
    objectives: Sequence[str],
    recipe: Recipe,
    train: Source,
    val: Source,
    seeds: int,
    work: Path,
    console: Console,
) -> Comparison:
    """Trains every objective `seeds` times by the same recipe, measures retrieval on `val`, and compares.

    Raises DataError for fewer than two objectives or for the same twice, and, before anything is trained, for data that
    an objective cannot use; CatalogueError for an unknown name.
    """
    if len(objectives) < 2 or len(set(objectives)) < len(objectives):
        raise DataError(f"give two objectives or more to compare, each once; not: {' '.join(objectives) or 'none'}")
    if seeds < 1:
        raise DataError(f"--seeds {seeds}: give a number above 0")
    found = survey([opened(train)], decode)
    need_captions(found)
    held_out = survey([opened(val)], decode, sample=16)
    need_captions(held_out)
    for objective in objectives:
        check_requirements(make_objective(objective), found, recipe.sub_captions)
    recipe = recipe.resolved(found.items, has_gpu())
    told = f"{found.items:,} images with {found.captions:,} captions, {held_out.items:,} images held out"
    console.print(told)
    folders: dict[str, list[Path]] = {objective: [] for objective in objectives}
    rounds = [(seed, objective) for seed in range(seeds) for objective in objectives]
    for number, (seed, objective) in enumerate(rounds, 1):
        console.print(f"[bold]{number} of {len(rounds)}[/] {objective}, seed {seed}", highlight=False)
        trial = Trial(replace(recipe, objective=objective), train, seed, val)
        folders[objective].append(trained(trial, work, console))
    results = {objective: [_measured(folder, val) for folder in held] for objective, held in folders.items()}
    return Comparison(
        contenders=tuple(_contender(o, folders[o], results[o]) for o in objectives),
        main=MAIN,
        chance=dict(results[objectives[0]][0].chance),
        differences={o: differences(results[o], results[objectives[0]]) for o in objectives[1:]},
        seeds=seeds,
        about=_about(recipe, train, val),
    )


def _measured(folder: Path, val: Source) -> Result:
    return RetrievalBenchmark(opened(val))(Embedder(model_in(folder)))


def differences(ours: Sequence[Result], theirs: Sequence[Result]) -> dict[str, Estimate]:
    """Of every figure: over the test items with one seed, over paired seeds with several."""
    if len(ours) == 1:
        return {name: difference(ours[0][name], theirs[0][name]) for name in ours[0]}
    found = {}
    for name, estimate in ours[0].items():
        apart = [a[name].value - b[name].value for a, b in zip(ours, theirs, strict=True)]
        found[name] = paired(apart, estimate.share)
    return found


def over_seeds(results: Sequence[Result]) -> dict[str, Estimate]:
    """Of every figure: with one seed as measured, with several the mean and its interval of Student's t."""
    if len(results) == 1:
        return {name: Estimate(e.value, e.low, e.high, e.share) for name, e in results[0].items()}
    return {name: paired([r[name].value for r in results], e.share) for name, e in results[0].items()}


def _contender(objective: str, folders: Sequence[Path], results: Sequence[Result]) -> Contender:
    costs = [spent(folder) for folder in folders]
    rows = read_log(folders[0] / "log.jsonl")
    curve = [(row["seconds"], row[f"val/{MAIN}"]) for row in _timed(rows) if f"val/{MAIN}" in row]
    return Contender(
        name=objective,
        figures=over_seeds(results),
        per_seed={name: tuple(r[name].value for r in results) for name in results[0]},
        seconds=fmean(c.seconds for c in costs),
        images_per_second=fmean(c.images / max(c.seconds, 1e-9) for c in costs),
        peak_bytes=max(c.peak_bytes for c in costs),
        parameters=costs[0].parameters,
        steps=round(fmean(c.steps for c in costs)),
        images=round(fmean(c.images for c in costs)),
        curve=tuple(curve),
        warnings=tuple(_warnings(rows)),
    )


def _timed(rows: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """The rows with the seconds of the last training row before them: an evaluation's own has none."""
    seconds, timed = 0.0, []
    for row in rows:
        seconds = row.get("seconds", seconds)
        timed.append({"seconds": seconds, **row})
    return timed


def _warnings(rows: Sequence[Mapping[str, float]]) -> list[str]:
    scores = [row[f"val/{MAIN}"] for row in rows if f"val/{MAIN}" in row]
    if len(scores) > 2 and max(scores) == scores[-1] and scores[-1] > 1.1 * scores[-2]:
        return [
            "it was still improving by more than a tenth at its last evaluation: longer training may change the order"
        ]
    return []


def _about(recipe: Recipe, train: Source, val: Source) -> dict[str, str]:
    budgets = {"minutes": recipe.minutes, "epochs": recipe.epochs, "steps": recipe.steps}
    length = next((f"{value:g} {unit} for each training" for unit, value in budgets.items() if value), "")
    chose = f"which also chose each training's best of {recipe.settings.evaluations} evaluations"
    return {
        "data": opened(train).name,
        "measured on": f"{opened(val).name}, {chose}",
        "budget": f"{length}, batches of {recipe.batch}",
        "model": f"size {recipe.size}, image tower {recipe.image}",
        "device": machine(),
        "versions": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        "commit": commit() or "unknown",
    }
