"""The loop, on batches made here; whole runs are in test_resume and tests/cli."""

import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from dovetail.contracts import Batch
from dovetail.data.collate import Loaded
from dovetail.data.records import DataError
from dovetail.models.dual_encoder import DualEncoder
from dovetail.training.assemble import make_objective
from dovetail.training.checkpoint import newest
from dovetail.training.log import read_log
from dovetail.training.loop import Trainer, Validate, accelerator
from dovetail.training.settings import Settings, Steps
from dovetail.training.task import Task
from dovetail.training.watch import StuckWatch, TrainingStopped, Watch
from tests import runs

SETTINGS = Settings(learning_rate=1e-3, precision="fp32", log_every=1, evaluations=0)


def _endless(start: int) -> Iterator[Loaded]:
    return (runs.loaded(seed=i) for i in count(start))


def _trainer(
    folder: Path,
    settings: Settings = SETTINGS,
    steps: int = 4,
    objective: nn.Module | None = None,
    validate: Validate | None = None,
    watches: tuple[Watch, ...] = (),
) -> Trainer:
    torch.manual_seed(0)
    task = Task(runs.model(), objective or make_objective("infonce"))
    console = Console(file=io.StringIO(), width=200)
    folder.mkdir(exist_ok=True)
    return Trainer(task, settings, Steps(steps), folder, accelerator(settings), 0, validate, watches, console)


def _said(trainer: Trainer) -> str:
    assert isinstance(trainer.console.file, io.StringIO)
    return trainer.console.file.getvalue()


def _run(
    trainer: Trainer,
    batches: Callable[[int], Iterable[Loaded]] = _endless,
    on_best: Callable[[DualEncoder], None] = lambda model: None,
) -> list[float]:
    """The losses in the log."""
    trainer.run(batches, on_best)
    return [row["loss"] for row in read_log(trainer.folder / "log.jsonl") if "loss" in row]


class _Breaks(nn.Module):
    """The contrastive loss until a step; from then on `term` decides."""

    requires = ()

    def __init__(self, at: int, term: Callable[[Tensor, DualEncoder], Tensor]):
        super().__init__()
        self.inner, self.at, self.seen, self.term = make_objective("infonce"), at, 0, term

    def encode(self, model: DualEncoder, batch: Batch) -> Any:
        self.model = [model]  # in a list, lest it become a part of this module
        return self.inner.encode(model, batch)

    def terms(self, outputs: Any, batch: Batch) -> Mapping[str, Tensor]:
        self.seen += 1
        (loss,) = self.inner.terms(outputs, batch).values()
        return {"broken": self.term(loss, self.model[0]) if self.seen >= self.at else loss}


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    breaks = _Breaks(3, lambda loss, model: loss * math.nan)
    trainer = _trainer(tmp_path, replace(SETTINGS, save_seconds=0), steps=9, objective=breaks)
    with pytest.raises(TrainingStopped) as stopped:
        _run(trainer)
    told = str(stopped.value)
    assert "the loss is nan at step 3" in told
    assert all(f"photo 2-{i}" in told for i in range(4)) and "photo 1-" not in told
    assert newest(tmp_path / "checkpoints") == tmp_path / "checkpoints" / "step-00000002"
    assert str(tmp_path / "checkpoints" / "step-00000002") in told
    assert [row["step"] for row in read_log(tmp_path / "log.jsonl")] == [1, 2]


def test_a_gradient_that_is_not_finite_stops_the_run_before_it_is_saved(tmp_path: Path) -> None:
    """A finite loss whose gradient is 0 / 0, as that of sqrt at 0, would leave a checkpoint of NaNs."""
    breaks = _Breaks(3, lambda loss, model: loss + (0 * model.log_scale).abs().sqrt())
    trainer = _trainer(tmp_path, replace(SETTINGS, save_seconds=0), steps=9, objective=breaks)
    with pytest.raises(TrainingStopped, match="the gradient's norm is nan at step 3"):
        _run(trainer)
    assert newest(tmp_path / "checkpoints") == tmp_path / "checkpoints" / "step-00000002"


def test_the_step_is_named_though_the_log_is_written_later(tmp_path: Path) -> None:
    breaks = _Breaks(2, lambda loss, model: loss * math.inf)
    trainer = _trainer(tmp_path, replace(SETTINGS, log_every=100), steps=5, objective=breaks)
    with pytest.raises(
        TrainingStopped, match=r"the loss is inf at step 2. The batch held\n  photo 1-0\n(.|\n)*none yet"
    ):
        _run(trainer)


def test_accumulated_gradients_are_the_mean_of_those_of_the_parts(tmp_path: Path) -> None:
    """One step over three parts, with plain gradient descent written out, against the loop's gradient before AdamW."""
    trainer = _trainer(tmp_path, replace(SETTINGS, accumulate=3, clip=1e9), steps=1)
    start = {name: p.detach().clone() for name, p in trainer.task.named_parameters()}
    gradients: dict[str, Tensor] = {}

    def before_the_step(optimizer: Any, args: Any, kwargs: Any) -> None:
        gradients.update({name: p.grad.clone() for name, p in trainer.task.named_parameters() if p.grad is not None})

    trainer.optimizer.register_step_pre_hook(before_the_step)
    losses = _run(trainer)
    assert trainer.state.consumed == 3 and trainer.state.images == 12 and trainer.state.step == 1

    with torch.no_grad():
        for name, p in trainer.task.named_parameters():
            p.copy_(start[name])
    trainer.task.train()
    parts = [trainer.task.terms(runs.batch(seed=i))["contrastive"] for i in range(3)]
    torch.stack(parts).mean().backward()
    assert losses == [pytest.approx(float(torch.stack(parts).mean().detach()), rel=1e-5)]
    for name, p in trainer.task.named_parameters():
        torch.testing.assert_close(gradients[name], p.grad, rtol=1e-4, atol=1e-6)


def test_gradients_are_clipped(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, replace(SETTINGS, clip=0.01), steps=1)
    norms: list[float] = []

    def before_the_step(optimizer: Any, args: Any, kwargs: Any) -> None:
        found = [p.grad.norm() for p in trainer.task.parameters() if p.grad is not None]
        norms.append(float(torch.stack(found).norm()))

    trainer.optimizer.register_step_pre_hook(before_the_step)
    _run(trainer)
    assert norms == [pytest.approx(0.01, rel=1e-3)]


def test_evaluates_as_often_as_asked_and_keeps_the_best(tmp_path: Path) -> None:
    scores, kept = iter([3.0, 7.0, 5.0, 6.0]), []

    def validate(model: DualEncoder) -> Mapping[str, float]:
        model.eval()
        return {"val/score": next(scores), "val/other": 1.0}

    trainer = _trainer(tmp_path, replace(SETTINGS, evaluations=4), steps=10, validate=validate)
    _run(trainer, on_best=lambda model: kept.append(trainer.state.step))
    rows = [(row["step"], row["val/score"]) for row in read_log(tmp_path / "log.jsonl") if "val/score" in row]
    assert rows == [(3, 3.0), (5, 7.0), (8, 5.0), (10, 6.0)]
    assert kept == [3, 5]
    assert (trainer.state.best, trainer.state.best_step, trainer.state.evaluated) == (7.0, 5, 4)
    assert "step 5: val/score 7.0" in _said(trainer)


def test_the_average_of_the_weights_is_what_is_evaluated(tmp_path: Path) -> None:
    seen: list[DualEncoder] = []

    def validate(model: DualEncoder) -> Mapping[str, float]:
        seen.append(model)
        return {"val/score": 1.0}

    trainer = _trainer(tmp_path, replace(SETTINGS, ema=0.9, evaluations=1), validate=validate)
    _run(trainer, on_best=seen.append)
    assert trainer.ema is not None
    for model in seen:
        assert torch.equal(model.image_projection.weight, trainer.ema.average["image_projection.weight"])
    weights = trainer.task.model.image_projection.weight
    assert not torch.equal(seen[0].image_projection.weight, weights)


def test_a_row_has_what_a_person_wants_to_know(tmp_path: Path) -> None:
    _run(_trainer(tmp_path, replace(SETTINGS, log_every=3), steps=7))
    rows = read_log(tmp_path / "log.jsonl")
    assert [row["step"] for row in rows] == [3, 6, 7]
    assert rows[1].keys() == {"step", "loss", "learning_rate", "scale", "images", "images_per_second", "seconds"}
    assert (
        rows[1]["images"] == 24
        and rows[1]["images_per_second"] > 0
        and rows[1]["scale"] == pytest.approx(14.3, abs=0.2)
    )


def test_a_resumed_trainer_repeats_the_rest(tmp_path: Path) -> None:
    whole = _run(_trainer(tmp_path / "whole", steps=6))
    breaks = _Breaks(5, lambda loss, model: loss * math.nan)
    first = _trainer(tmp_path / "parts", replace(SETTINGS, save_seconds=0), steps=6, objective=breaks)
    with pytest.raises(TrainingStopped):
        _run(first)
    second = _trainer(tmp_path / "parts", steps=6)
    started: list[int] = []

    def batches(start: int) -> Iterator[Loaded]:
        started.append(start)
        return _endless(start)

    assert second.resume() and second.state.step == 4
    assert _run(second, batches) == whole
    assert started == [4]


def test_there_is_nothing_to_resume(tmp_path: Path) -> None:
    assert not _trainer(tmp_path).resume()


def test_batches_without_a_usable_image_are_passed_over_and_counted(tmp_path: Path) -> None:
    def batches(start: int) -> Iterator[Loaded]:
        for i in count(start):
            yield Loaded(None, (("truncated image", f"a.csv line {i}"),)) if i % 3 else runs.loaded(seed=i)

    trainer = _trainer(tmp_path, steps=3)
    assert len(_run(trainer, batches)) == 3
    assert trainer.state.consumed == 7 and trainer.problems.counts == {"truncated image": 4}
    assert trainer.problems.examples["truncated image"][0] == "a.csv line 1"


def test_an_image_that_is_met_again_counts_once(tmp_path: Path) -> None:
    def batches(start: int) -> Iterator[Loaded]:
        return (replace(runs.loaded(seed=i), skipped=(("truncated image", "a.csv line 7"),)) for i in count(start))

    trainer = _trainer(tmp_path, steps=3)
    _run(trainer, batches)
    assert trainer.problems.counts == {"truncated image": 1}


def test_no_usable_image_ends_the_run(tmp_path: Path) -> None:
    def batches(start: int) -> Iterator[Loaded]:
        return (Loaded(None, (("missing image", f"a.csv line {i}"),)) for i in count(start))

    with pytest.raises(DataError, match=r"10 batches in a row can be used: 10 x missing image, e\.g\. a\.csv line 0"):
        _run(_trainer(tmp_path), batches)


def test_data_that_ends_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the data ended before the run did"):
        _run(_trainer(tmp_path), lambda start: [runs.loaded()])


def test_warns_when_nothing_is_learnt(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, replace(SETTINGS, learning_rate=0.0), steps=8, watches=(StuckWatch(0.1, patience=3),))
    _run(trainer)
    assert _said(trainer).count("the level of a model that knows nothing") == 1


def test_the_scale_stays_within_its_bounds(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, steps=1)
    with torch.no_grad():
        trainer.task.model.log_scale.fill_(9.0)
    _run(trainer)
    assert trainer.task.model.scale.item() == pytest.approx(100.0)


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_the_precision_is_that_of_the_towers_products(tmp_path: Path, precision: Any, dtype: torch.dtype) -> None:
    """Twice in one Python process, each with its own."""
    trainer = _trainer(tmp_path, replace(SETTINGS, precision=precision), steps=1)
    seen: list[torch.dtype] = []
    trainer.task.model.image_projection.register_forward_hook(lambda module, x, y: seen.append(y.dtype))
    _run(trainer)
    assert seen == [dtype]
    assert all(p.dtype == torch.float32 for p in trainer.task.parameters())
