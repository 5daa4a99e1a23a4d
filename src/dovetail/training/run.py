"""A whole run: from sources to a trained model in a folder that holds all there is to know of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from accelerate import Accelerator
from rich.console import Console

from dovetail.data.cache import Cache, Shrunk, fill
from dovetail.data.loading import cores
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.records import DataError, Problems
from dovetail.data.sources import Stream, Table
from dovetail.data.stream import Plan as Order
from dovetail.data.survey import Survey
from dovetail.data.text import Tokenizer
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.pretrained import load
from dovetail.models.sizes import PLANS
from dovetail.training.assemble import (
    check_requirements,
    continued,
    make_model,
    make_objective,
    make_text_tower,
    make_tokenizer,
)
from dovetail.training.checkpoint import State, newest
from dovetail.training.course import Course, budget, keep
from dovetail.training.log import bar
from dovetail.training.loop import Validate, accelerator
from dovetail.training.recipe import Recipe
from dovetail.training.stages import stages_of
from dovetail.training.tuning import Trained, tuning

CONFIG = "config.yaml"


@dataclass(frozen=True)
class Run:
    """What came of a run: its folder, the best model, how far it got and what was skipped on the way."""

    folder: Path
    model: DualEncoder
    state: State
    skipped: Problems
    parameters: dict[str, int]


def fit(
    sources: Sequence[Table | Stream],
    survey: Survey,
    folder: Path,
    recipe: Recipe,
    config: dict[str, Any],
    seed: int = 0,
    weights: Sequence[float] | None = None,
    workers: int | None = None,
    validate: Validate | None = None,
    resume: bool = False,
    console: Console | None = None,
    cache: Path | None = None,
    trained: Trained | None = None,
) -> Run:
    """Trains a model on `sources`, keeping the best one so far in `folder`.

    recipe: resolved. config: what to write as config.yaml. validate: see the loop; without it the last model is kept.
    cache: keep resized pictures in this folder and train on crops of them; see data.cache. trained: begin with this
    model, which is changed, instead of random weights. Of a model tuned by LoRA the folder holds the merged one, and
    the low-rank maps alone in adapter/.
    Raises DataError for a folder that holds another run, CheckpointError, TrainingStopped. Nothing is written before
    all that was asked for is known to be there.
    """
    console = console or Console(stderr=True)
    check_folder(folder, config, resume)
    assert recipe.batch is not None
    engine = accelerator(recipe.settings)
    objective = make_objective(recipe.objective)
    check_requirements(objective, survey, recipe.sub_captions)
    stages = stages_of(objective)
    if recipe.settings.shard and len(stages) > 1:
        raise DataError(f"{recipe.objective} trains in stages, whose parameters cannot be divided: no --settings.shard")
    kept = newest(folder / "checkpoints") if resume else None
    torch.manual_seed(seed)
    model = _begun(recipe, sources, objective, folder if kept else None, trained)
    order = Order(sources, recipe.batch // recipe.settings.accumulate, seed, weights)
    for warning in order.warnings:
        console.print(f"[yellow]warning:[/] {warning}")
    pictures = _cached(cache, sources, model.preprocessing, engine, workers, console) if cache else None
    budget(recipe, order.epoch_length, order.batch)  # refused before anything is written
    engine.wait_for_everyone()  # until all have looked at the folder
    if engine.is_main_process:
        begin_folder(folder, config)
        if not kept:
            keep(model, folder, trained)
    course = Course(
        recipe, sources, survey, folder, seed, engine, order, validate, workers, console, trained, pictures
    )  # fmt: skip
    trainer, state = course.run(model, stages, kept)
    if not state.evaluated:  # in any process: only the first knows the best score
        last = trainer.model
        if engine.is_main_process:
            course.keep(stages[-1], last)
    engine.wait_for_everyone()
    return Run(folder, load(folder, engine.device), state, trainer.problems, count_parameters(model))


def _begun(
    recipe: Recipe,
    sources: Sequence[Table | Stream],
    objective: Any,
    kept: Path | None,
    trained: Trained | None,
) -> DualEncoder:
    """What the run begins with: the trained model with what is tuned of it chosen, or random weights. kept: the folder
    that the tokenizer of a continued run lies in."""
    if trained is not None:
        model = continued(trained.model, recipe.augment, objective)
        tuning(trained.tune).choose(model)
        return model
    assert recipe.size is not None
    plan = PLANS[recipe.size]
    text, vocabulary = make_text_tower(recipe.text, recipe.tokenizer) if recipe.text else (None, recipe.tokenizer)
    tokenizer = Tokenizer.load(kept) if kept else make_tokenizer(vocabulary, sources, plan)
    return make_model(plan, recipe.image, text, tokenizer, recipe.augment, objective)


def _cached(
    folder: Path,
    sources: Sequence[Table | Stream],
    how: Preprocessing,
    engine: Accelerator,
    workers: int | None,
    console: Console,
) -> Cache:
    """All pictures resized, on every machine by its first process while the others wait."""
    shrunk, workers = Shrunk.of(how), cores() if workers is None else workers
    with engine.local_main_process_first(), bar(console, "resize") as shown:
        line = shown.add_task("")
        for done, total in fill(folder, shrunk, sources, workers):
            shown.update(line, completed=done, total=total, description=f"{done:,} of {total:,} pictures")
    return Cache(folder, shrunk)


def check_folder(folder: Path, config: dict[str, Any], resume: bool) -> None:
    """Raises DataError when the folder holds another run, or anything else. Changes nothing."""
    path = folder / CONFIG
    if path.is_file():
        if not resume:
            raise DataError(f"{folder} holds a run already. --resume continues it; or choose another --out.")
        before = yaml.safe_load(path.read_text(encoding="utf-8"))
        before, config = _binding(before), _binding(config)
        changed = [k for k in config if k in before and before[k] != config[k]]
        if changed:
            told = "; ".join(f"{k}: {before[k]!r} there, {config[k]!r} asked for" for k in changed)
            raise DataError(
                f"{folder} holds a run with other options ({told}). Resume with its own: --config {path} --resume"
            )
    elif folder.exists() and (not folder.is_dir() or {file.name for file in folder.iterdir()} - {CONFIG + ".part"}):
        raise DataError(f"{folder} exists and is not a run of Dovetail; choose another --out, nothing was changed.")


def _binding(config: dict[str, Any]) -> dict[str, Any]:
    """The options that a run must be continued with: all but those that say how it is computed, not what."""
    settings = {k: v for k, v in config.get("settings", {}).items() if k not in ("shard", "micro_batch")}
    return {k: v for k, v in config.items() if k not in ("resume", "workers")} | {"settings": settings}


def begin_folder(folder: Path, config: dict[str, Any]) -> None:
    """Makes the run's folder and writes its configuration, unless it is there already."""
    path = folder / CONFIG
    if path.is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_name(CONFIG + ".part")  # left alone, when a kill comes now, by check_folder
    part.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")
    part.rename(path)


def count_parameters(model: DualEncoder) -> dict[str, int]:
    """Parameters of each tower and of the whole."""
    towers: dict[str, Any] = {"image": model.image, "text": model.text, "all": model}
    return {name: sum(p.numel() for p in module.parameters()) for name, module in towers.items()}


def has_gpu() -> bool:
    """Whether there is an accelerator to train on."""
    return torch.accelerator.is_available()


def device() -> torch.device:
    """Where models run: the accelerator if there is one, else the CPU."""
    return torch.accelerator.current_accelerator() or torch.device("cpu") if has_gpu() else torch.device("cpu")
