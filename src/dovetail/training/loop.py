"""The one training loop. A new training idea is an Objective handed to it, never another loop."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs
from rich.console import Console
from torch import Tensor

from dovetail.contracts import Advancing
from dovetail.data.collate import Loaded
from dovetail.data.records import DataError, Problems
from dovetail.models.dual_encoder import DualEncoder
from dovetail.ops.distributed import gather_objects, mean_over_processes
from dovetail.training.checkpoint import State, load_checkpoint, newest, save_checkpoint
from dovetail.training.ema import EMA
from dovetail.training.gradient_cache import Backward, GradientCache, WholeBatch, normalises_over_batch, over_pieces
from dovetail.training.log import Log, bar
from dovetail.training.optimizer import adamw, learning_rate
from dovetail.training.processes import meet
from dovetail.training.settings import Budget, Settings, Span
from dovetail.training.sharding import filled, outline, prepared
from dovetail.training.task import Task
from dovetail.training.tuning import frozen_parts
from dovetail.training.watch import Watch, not_finite

NAMED = 100_000  # images that could not be used and are remembered by name

Validate = Callable[[DualEncoder], Mapping[str, float]]
"""Evaluates a model; the first figure returned decides which checkpoint is the best (higher is better)."""


@dataclass
class _Pending:
    """What is known of the steps since the last row of the log, still on the device: no step waits for the host."""

    losses: list[Tensor] = field(default_factory=list)
    norms: list[Tensor] = field(default_factory=list)  # of the gradients, before clipping
    names: list[tuple[str, ...]] = field(default_factory=list)


def accelerator(settings: Settings) -> Accelerator:
    """The engine for one or many processes (launch with torchrun): distribution, precision, devices."""
    meet()
    AcceleratorState._reset_state()  # an earlier run of this Python process may have had another precision
    handlers = [DistributedDataParallelKwargs(broadcast_buffers=False)]
    precision = "bf16" if settings.precision == "bf16" else "no"
    return Accelerator(mixed_precision=precision, kwargs_handlers=handlers)


class Trainer:
    """Trains a task until its budget is spent.

    Args:
        task: the model and its objective.
        settings: see Settings.
        budget: when the run is over.
        folder: the run's; receives log.jsonl, tensorboard/ and checkpoints/.
        engine: from `accelerator`.
        seed: of whatever is random within a step, such as dropout.
        validate: evaluates during the run, or None.
        watches: speak up when something is wrong.
        console: where progress is shown.
        trained: whether the model has been trained before; then it is evaluated before the first step, too.
        span: the part of the budget to spend, where the task is one of several stages.
        state: how far the run is, where another stage came before.
    """

    def __init__(
        self,
        task: Task,
        settings: Settings,
        budget: Budget,
        folder: Path,
        engine: Accelerator,
        seed: int = 0,
        validate: Validate | None = None,
        watches: Sequence[Watch] = (),
        console: Console | None = None,
        trained: bool = False,
        span: Span = Span(),  # noqa: B008 (frozen)
        state: State | None = None,
    ):
        self.settings, self.budget, self.folder, self.engine, self.seed = settings, budget, folder, engine, seed
        self.validate, self.watches, self.console = validate, watches, console or Console(stderr=True)
        self.trained, self.span = trained, span
        self.task = task.to(engine.device)
        self._outline = outline(self.task.model)
        self.module = prepared(self.task, engine, settings.shard)
        self.optimizer = adamw(self.task, settings)
        self._frozen = frozen_parts(self.module)
        self.ema = EMA(self.task.model, settings.ema) if settings.ema else None
        self.state, self.pending = state or State(), _Pending()
        self._line, self._told = "", 0
        whole, size = WholeBatch(self.module, engine), settings.micro_batch
        self.backward: Backward = GradientCache(whole, size) if size else whole
        if size and normalises_over_batch(self.task.model) and engine.is_main_process:
            self.console.print(f"[yellow]warning:[/] {over_pieces(size)}")
        self._saved = time.monotonic()
        self._shown: tuple[float, int] = (time.monotonic(), 0)

    @property
    def model(self) -> DualEncoder:
        """The model to evaluate and keep: the average of the weights if there is one. All processes must ask for it
        together."""
        return filled(self._outline, self.ema.average if self.ema else self.task.model.state_dict())

    @property
    def problems(self) -> Problems:
        """What could not be used so far, over all sessions of the run; an image counts once, not once an epoch."""
        found = Problems()
        for name, cause in self.state.skipped.items():
            found.add(cause, name)
        return found

    def resume(self) -> bool:
        """Continues from the newest checkpoint of the folder; False when there is none."""
        path = newest(self.folder / "checkpoints")
        if path is None:
            return False
        self.state = load_checkpoint(path, self.task, self.optimizer, self.ema)
        return True

    def run(self, batches: Callable[[int], Iterable[Loaded]], on_best: Callable[[DualEncoder], None]) -> State:
        """Trains. `batches(k)` gives the micro-batches from number k on; `on_best` keeps the best model so far.

        Raises TrainingStopped for a loss that is not finite, DataError when no image of a batch can be used.
        """
        self.log = Log(self.folder, self.state.step) if self.engine.is_main_process else None
        self._shown = (time.monotonic(), self.state.images)
        source = _usable(batches(self.state.consumed), self)
        try:
            if self.trained and self.validate and self.state.step == 0:
                self._evaluate(self.validate, on_best)
            with bar(self.console) as shown:
                line = shown.add_task("", total=1.0, visible=self.engine.is_main_process)
                while (progress := self._progress()) < self.span.stop:
                    started = time.monotonic()
                    self._step(source, progress)
                    self.state.seconds += time.monotonic() - started
                    done = self.budget.progress(self.state.step, self.state.seconds)
                    shown.update(line, completed=min(1.0, done), description=self._after_step())
                    self._milestones(on_best)
            self._flush()
        finally:
            if self.log:
                self.log.close()
        return self.state

    def _progress(self) -> float:
        return self.agreed(self.budget.progress(self.state.step, self.state.seconds))

    def agreed(self, mine: float) -> float:
        """The mean over processes: their clocks and data differ, but they must stop, save and pass over as one."""
        if self.engine.num_processes == 1:
            return mine  # and no wait for the device
        return float(mean_over_processes(torch.tensor(mine, dtype=torch.float64, device=self.engine.device)))

    def _step(self, source: Iterator[Loaded], progress: float) -> None:
        """One optimiser step over `accumulate` micro-batches, `progress` of the way through the run."""
        settings, step, done = self.settings, self.state.step, self.span.within(progress)
        # Dropout and the like depend on the step alone, so that a resumed run repeats them.
        torch.manual_seed(self.seed * 1_000_003 + step * self.engine.num_processes + self.engine.process_index)
        rate = learning_rate(settings.learning_rate or 0.0, settings.warmup, done)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.module.train()
        for part in self._frozen:
            part.eval()
        if isinstance(self.task.objective, Advancing):
            self.task.objective.advance(self.task.model, done)
        total = torch.zeros((), device=self.engine.device)
        names: tuple[str, ...] = ()
        micro = list(islice(source, settings.accumulate))
        for i, loaded in enumerate(micro):
            assert loaded.batch is not None
            # Gradients are exchanged between processes after the last micro-batch only.
            loss = self.backward(loaded.batch, len(micro), i == len(micro) - 1)
            total += mean_over_processes(loss)
            names += loaded.batch.names
            self.state.images += len(loaded.batch.ids) * self.engine.num_processes
        norm = self.engine.clip_grad_norm_(self.module.parameters(), settings.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.task.model.clamp_scale()
        self.state.step += 1
        if self.ema:
            self.ema.update(self.task.model, self.state.step)
        self.pending.losses.append(total)
        self.pending.norms.append(norm)
        self.pending.names.append(names)

    def _after_step(self) -> str:
        """Writes a row when it is time; returns the line beside the bar."""
        if len(self.pending.losses) >= self.settings.log_every:
            self._flush()
        return self._line

    def _flush(self) -> None:
        losses = [float(x) for x in self.pending.losses]
        if not losses:
            return
        first = self.state.step - len(losses) + 1
        for i, (loss, norm) in enumerate(zip(losses, map(float, self.pending.norms), strict=True)):
            # Such a gradient ruins the weights, and with them a checkpoint, a step before the loss shows it.
            for what, value in (("loss", loss), ("gradient's norm", norm)):
                if not math.isfinite(value):
                    kept = newest(self.folder / "checkpoints")
                    raise not_finite(first + i, what, value, self.pending.names[i], str(kept) if kept else "none yet")
        now, (then, before) = time.monotonic(), self._shown
        speed = (self.state.images - before) / max(now - then, 1e-9)
        self._shown, self.pending = (now, self.state.images), _Pending()
        mean, scale = sum(losses) / len(losses), float(self.task.model.scale.detach())
        self._line = f"loss {mean:.3f}  {speed:,.0f} images/s  step {self.state.step:,}"
        if self.log:
            rate = self.optimizer.param_groups[0]["lr"]
            figures = {"loss": mean, "learning_rate": rate, "scale": scale, "images": self.state.images}
            self.log.row(self.state.step, {**figures, "images_per_second": speed, "seconds": self.state.seconds})
        for warning in filter(None, [watch.see(losses, scale) for watch in self.watches]):
            if self.engine.is_main_process:
                self.console.print(f"[yellow]warning:[/] {warning}")

    def _milestones(self, on_best: Callable[[DualEncoder], None]) -> None:
        """Evaluates and saves when it is time."""
        progress = self._progress()
        due, ends = int(min(1.0, progress) * self.settings.evaluations), progress >= self.span.stop
        if self.validate and due > self.state.evaluated:
            self._flush()
            started = time.monotonic()
            self.state.evaluated = due
            self._evaluate(self.validate, on_best)
            self.state.seconds += time.monotonic() - started
            self._shown = (time.monotonic(), self.state.images)
        elif not ends and self.agreed(time.monotonic() - self._saved) < self.settings.save_seconds:
            return
        self._flush()
        self._share_skipped()
        save_checkpoint(self.folder / "checkpoints", self.task, self.optimizer, self.ema, self.state)
        self._saved = time.monotonic()

    def _evaluate(self, validate: Validate, on_best: Callable[[DualEncoder], None]) -> None:
        model = self.model
        figures = validate(model)  # the work of all
        if not self.engine.is_main_process:
            return
        name, score = next(iter(figures.items()))
        if self.log:
            self.log.row(self.state.step, dict(figures))
        self.console.print(f"step {self.state.step:,}: {name} {score:.1f}")
        if self.state.best is None or score > self.state.best:
            self.state.best, self.state.best_step = score, self.state.step
            on_best(model)

    def _share_skipped(self) -> None:
        """Tells all processes what each could not use since the last time."""
        skipped = self.state.skipped
        for theirs in gather_objects(dict(islice(skipped.items(), self._told, None))):
            skipped.update(theirs)
        self._told = len(skipped)


def _usable(loaded: Iterable[Loaded], trainer: Trainer) -> Iterator[Loaded]:
    """Counts what was taken and skipped; passes on the batches of which every process holds something."""
    empty, skipped = 0, trainer.state.skipped
    for item in loaded:
        trainer.state.consumed += 1
        for cause, name in item.skipped:
            if len(skipped) < NAMED:
                skipped[name] = cause
        if trainer.agreed(float(item.batch is not None)) == 1:
            empty = 0
            yield item
            continue
        empty += 1
        if empty >= 10:
            raise DataError(f"no image of {empty} batches in a row can be used: {'; '.join(trainer.problems.lines())}")
    raise DataError("the data ended before the run did; an endless plan of batches is expected")
