"""A whole run: from sources to a trained model in a folder that holds all there is to know of it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from accelerate import Accelerator
from rich.console import Console

from dovetail.contracts import PairLoss
from dovetail.data.cache import Cache, Shrunk, fill
from dovetail.data.collate import Collate, Loaded
from dovetail.data.loading import cores, default_workers, loader
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.records import DataError, Problems
from dovetail.data.sources import Stream, Table
from dovetail.data.stream import Plan as Order
from dovetail.data.survey import Survey
from dovetail.data.text import Tokenizer
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.pretrained import load, save
from dovetail.models.sizes import PLANS, Size, size_for
from dovetail.training.assemble import (
    NEGATIVES,
    check_requirements,
    make_model,
    make_objective,
    make_text_tower,
    make_tokenizer,
)
from dovetail.training.checkpoint import State, newest
from dovetail.training.log import bar
from dovetail.training.loop import Trainer, Validate, accelerator
from dovetail.training.processes import on_this_machine
from dovetail.training.settings import Budget, Minutes, Settings, Steps
from dovetail.training.task import Task
from dovetail.training.watch import StuckWatch, uninformed

CONFIG = "config.yaml"
DEFAULT_EPOCHS = 30.0


@dataclass(frozen=True)
class Recipe:
    """What to train and how; see the options of `dovetail train`. None: what suits the data and the device."""

    objective: str = "infonce"
    size: Size | None = None
    image: str | None = None
    text: str | None = None
    tokenizer: str | None = None
    captions_per_image: int | None = None
    augment: Preprocessing = field(default_factory=Preprocessing)
    steps: int | None = None
    epochs: float | None = None
    minutes: float | None = None
    batch: int | None = None
    settings: Settings = field(default_factory=Settings)

    def resolved(self, items: int, gpu: bool) -> "Recipe":
        """The same with every None that depends on the data or the device replaced by what is used.

        Raises DataError for more than one of steps, epochs and minutes, and for a number of nothing.
        """
        accumulate = self.settings.accumulate
        for name in ("steps", "epochs", "minutes", "batch", "captions_per_image"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise DataError(f"--{name} {value}: give a number above 0")
        if accumulate < 1:
            raise DataError(f"--settings.accumulate {accumulate}: give a number above 0")
        if self.settings.micro_batch is not None and self.settings.micro_batch < 1:
            raise DataError(f"--micro-batch {self.settings.micro_batch}: give a number above 0")
        if sum(x is not None for x in (self.steps, self.epochs, self.minutes)) > 1:
            raise DataError("--steps, --epochs and --minutes each say when to stop; give one of them")
        size = self.size or size_for(items, gpu)
        plan, settings = PLANS[size], self.settings
        if (self.batch or plan.batch) < accumulate:
            raise DataError(f"a batch of {self.batch or plan.batch} cannot be divided into {accumulate} micro-steps")
        rate = plan.learning_rate if settings.learning_rate is None else settings.learning_rate
        unsaid = self.steps is None and self.epochs is None and self.minutes is None
        return replace(
            self,
            size=size,
            image=self.image or plan.image,
            epochs=DEFAULT_EPOCHS if unsaid else self.epochs,
            batch=self.batch or plan.batch,
            captions_per_image=self.captions_per_image or plan.captions_per_image,
            settings=replace(settings, learning_rate=rate, precision=settings.precision or fast_precision(gpu)),
        )


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
) -> Run:
    """Trains a model from scratch on `sources`, keeping the best one so far in `folder`.

    recipe: resolved. config: what to write as config.yaml. validate: see the loop; without it the last model is kept.
    cache: keep resized pictures in this folder and train on crops of them; see data.cache.
    Raises DataError for a folder that holds another run, CheckpointError, TrainingStopped. Nothing is written before
    all that was asked for is known to be there.
    """
    console = console or Console(stderr=True)
    check_folder(folder, config, resume)
    assert recipe.size is not None and recipe.batch is not None
    plan = PLANS[recipe.size]
    engine = accelerator(recipe.settings)
    objective = make_objective(recipe.objective)
    check_requirements(objective, survey)
    kept = newest(folder / "checkpoints") if resume else None
    torch.manual_seed(seed)
    text, vocabulary = make_text_tower(recipe.text, recipe.tokenizer) if recipe.text else (None, recipe.tokenizer)
    tokenizer = Tokenizer.load(folder) if kept else make_tokenizer(vocabulary, sources, plan)
    model = make_model(plan, recipe.image, text, tokenizer, recipe.augment, objective)
    order = Order(sources, recipe.batch // recipe.settings.accumulate, seed, weights)
    for warning in order.warnings:
        console.print(f"[yellow]warning:[/] {warning}")
    negatives = NEGATIVES in objective.requires
    pictures = _cached(cache, sources, model.preprocessing, engine, workers, console) if cache else None
    collate = Collate(model.preprocessing, tokenizer, recipe.captions_per_image, negatives, pictures)
    until = budget(recipe, order.epoch_length, order.batch * recipe.settings.accumulate)
    engine.wait_for_everyone()  # until all have looked at the folder
    if engine.is_main_process:
        begin_folder(folder, config)
        if not kept:
            save(model, folder)
    watch = _watch(objective, order.batch, _captions(recipe, survey, negatives))
    trainer = Trainer(
        Task(model, objective), recipe.settings, until, folder, engine, seed,
        validate=validate, watch=watch, console=console,
    )  # fmt: skip
    if kept and trainer.resume():
        console.print(f"continuing at step {trainer.state.step:,} ({trainer.state.seconds / 60:.1f} minutes in)")

    def batches(start: int) -> Iterator[Loaded]:
        mine = order.batches(start, engine.process_index, engine.num_processes)
        return loader(mine, collate, default_workers(on_this_machine()) if workers is None else workers)

    def keep(best: DualEncoder) -> None:
        save(best, folder)

    state = trainer.run(batches, keep)
    if not state.evaluated:  # in any process: only the first knows the best score
        last = trainer.model
        if engine.is_main_process:
            keep(last)
    engine.wait_for_everyone()
    return Run(folder, load(folder, engine.device), state, trainer.problems, count_parameters(model))


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


def budget(recipe: Recipe, epoch: int | None, batch: int) -> Budget:
    """When the run is over. Raises DataError for epochs of a stream, whose length nobody knows."""
    if recipe.minutes is not None:
        return Minutes(recipe.minutes)
    if recipe.steps is not None:
        return Steps(recipe.steps)
    if epoch is None:
        raise DataError("a stream has no known length, so epochs cannot be counted: give --steps or --minutes")
    return Steps(max(1, math.ceil((recipe.epochs or DEFAULT_EPOCHS) * epoch / batch)))


def count_parameters(model: DualEncoder) -> dict[str, int]:
    """Parameters of each tower and of the whole."""
    towers: dict[str, Any] = {"image": model.image, "text": model.text, "all": model}
    return {name: sum(p.numel() for p in module.parameters()) for name, module in towers.items()}


def _watch(objective: torch.nn.Module, images: int, captions: int) -> StuckWatch | None:
    """Looks out for learning nothing, for objectives whose level of knowing nothing follows from a pair loss."""
    loss = getattr(objective, "loss", None)
    if not isinstance(loss, PairLoss):
        return None
    forward, backward = uninformed(loss, images, images * captions), uninformed(loss, images * captions, images)
    return StuckWatch((forward + backward) / 2)


def _captions(recipe: Recipe, survey: Survey, negatives: bool) -> int:
    """Captions an image brings into a batch; negatives: those of kind NEGATIVE too, which are drawn apart."""
    counts = (survey.captions - survey.negatives, survey.negatives if negatives else 0)
    most = recipe.captions_per_image or 1_000
    return max(1, sum(min(most, round(count / max(1, survey.items))) for count in counts))


def fast_precision(gpu: bool) -> Literal["bf16", "fp32"]:
    """bf16 where the device multiplies in it: on a processor that does not, it takes many times as long as fp32."""
    able = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()  # no public word for it
    return "bf16" if gpu or able else "fp32"


def has_gpu() -> bool:
    """Whether there is an accelerator to train on."""
    return torch.accelerator.is_available()


def device() -> torch.device:
    """Where models run: the accelerator if there is one, else the CPU."""
    return torch.accelerator.current_accelerator() or torch.device("cpu") if has_gpu() else torch.device("cpu")
