"""What a run's stages have in common, and how they follow one another in the one loop."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from rich.console import Console

from dovetail.contracts import Naming, PairLoss, Stage, Viewing
from dovetail.data.cache import Cache
from dovetail.data.collate import Collate, Loaded
from dovetail.data.loading import default_workers, loader
from dovetail.data.records import DataError
from dovetail.data.sources import Stream, Table
from dovetail.data.stream import Plan as Order
from dovetail.data.survey import Survey
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.lora import has_lora, merged, write_adapter
from dovetail.models.pretrained import save
from dovetail.training.assemble import NEGATIVES, captions_of
from dovetail.training.checkpoint import State, progress
from dovetail.training.loop import Trainer, Validate
from dovetail.training.processes import on_this_machine
from dovetail.training.recipe import DEFAULT_EPOCHS, Recipe
from dovetail.training.settings import Budget, Minutes, Span, Steps
from dovetail.training.stages import enter, learning, leave, left, spans
from dovetail.training.task import Task
from dovetail.training.tuning import Trained
from dovetail.training.watch import CollapseWatch, ScaleWatch, StuckWatch, Watch, uninformed


@dataclass(frozen=True)
class Course:
    """What the stages of a run have in common."""

    recipe: Recipe
    sources: Sequence[Table | Stream]
    survey: Survey
    folder: Path
    seed: int
    engine: Accelerator
    order: Order
    validate: Validate | None
    workers: int | None
    console: Console
    trained: Trained | None
    pictures: Cache | None

    def run(self, model: DualEncoder, stages: Sequence[Stage], kept: Path | None) -> tuple[Trainer, State]:
        """One stage after the other, from the one that the checkpoint `kept` was made in; the last one's trainer."""
        state, chosen = progress(kept) if kept else State(), learning(model)
        for number, (stage, span) in enumerate(zip(stages, spans(stages), strict=True)):
            enter(model, stage, captions_of(self.sources), chosen, self.seed + number)
            if number >= state.stage:
                if number > state.stage:
                    state = replace(state, stage=number, best=None)  # an earlier stage's is not what was asked for
                trainer = self._trainer(model, stage, span, state)
                if kept and trainer.resume():
                    done = f"step {trainer.state.step:,} ({trainer.state.seconds / 60:.1f} minutes in)"
                    self.console.print(f"continuing at {done}")
                kept = None
                state = trainer.run(self._batches(model, stage), partial(self.keep, stage))
            if number + 1 < len(stages):
                leave(model, stage)
        return trainer, state

    def keep(self, stage: Stage, best: DualEncoder) -> None:
        """Writes the model, as it is when the stage ends."""
        keep(left(best, stage), self.folder, self.trained)

    def _trainer(self, model: DualEncoder, stage: Stage, span: Span, state: State) -> Trainer:
        recipe, order, negatives = self.recipe, self.order, NEGATIVES in stage.objective.requires
        captions = captions_of_an_image(recipe, self.survey, negatives)
        watches = watches_of(stage.objective, model, order.batch, captions)
        until = budget(recipe, order.epoch_length, order.batch * recipe.settings.accumulate)
        objective: Any = stage.objective  # an Objective that is a module; no type says both
        return Trainer(
            Task(model, objective), recipe.settings, until, self.folder, self.engine, self.seed,
            validate=self.validate, watches=watches, console=self.console,
            trained=self.trained is not None, span=span, state=state,
        )  # fmt: skip

    def _batches(self, model: DualEncoder, stage: Stage) -> Callable[[int], Iterator[Loaded]]:
        """The batches from a number on, with all that the stage's objective reads."""
        objective, recipe = stage.objective, self.recipe
        collate = Collate(
            model.preprocessing,
            model.tokenizer,
            recipe.captions_per_image,
            NEGATIVES in objective.requires,
            self.pictures,
            views=objective.views if isinstance(objective, Viewing) else (),
            vocabulary=objective.vocabulary if isinstance(objective, Naming) else None,
            sub_captions=recipe.sub_captions,
            modalities=objective.requires,
        )
        usual = default_workers(on_this_machine()) if self.workers is None else self.workers

        def batches(start: int) -> Iterator[Loaded]:
            mine = self.order.batches(start, self.engine.process_index, self.engine.num_processes)
            return loader(mine, collate, usual)

        return batches


def keep(model: DualEncoder, folder: Path, trained: Trained | None) -> None:
    """Writes the model; low-rank maps merged, and once more by themselves where they were what `tune` asked for."""
    if has_lora(model):
        if trained is not None:
            write_adapter(model, folder / "adapter", trained.name)
        model = merged(model)
    save(model, folder)


def watches_of(objective: Any, model: DualEncoder, images: int, captions: int) -> list[Watch]:
    """What looks after the run: for embeddings that become the same and a scale that runs away, and, for objectives
    whose level of knowing nothing follows from a pair loss, for learning nothing."""
    found: list[Watch] = [CollapseWatch(model), ScaleWatch(model.max_scale, float(model.scale.detach()))]
    loss = getattr(objective, "loss", None)
    if isinstance(loss, PairLoss):
        forward, backward = uninformed(loss, images, images * captions), uninformed(loss, images * captions, images)
        found.append(StuckWatch((forward + backward) / 2))
    return found


def captions_of_an_image(recipe: Recipe, survey: Survey, negatives: bool) -> int:
    """Captions an image brings into a batch; negatives: those of kind NEGATIVE too, which are drawn apart."""
    true, most = survey.captions - survey.negatives, recipe.captions_per_image or 1_000
    sentences = 1 + ((recipe.sub_captions or 1) - 1) * survey.supply["long captions"] / max(1, true)
    shown = sentences * min(most, true / max(1, survey.items))
    false = min(most, survey.negatives / max(1, survey.items)) if negatives else 0
    return max(1, round(shown) + round(false))


def budget(recipe: Recipe, epoch: int | None, batch: int) -> Budget:
    """When the run is over. Raises DataError for epochs of a stream, whose length nobody knows."""
    if recipe.minutes is not None:
        return Minutes(recipe.minutes)
    if recipe.steps is not None:
        return Steps(recipe.steps)
    if epoch is None:
        raise DataError("a stream has no known length, so epochs cannot be counted: give --steps or --minutes")
    return Steps(max(1, math.ceil((recipe.epochs or DEFAULT_EPOCHS) * epoch / batch)))
