"""Gradient caching itself: what it keeps, draws and warns of. That its gradients are right: tests/contracts."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from dovetail.catalogue import build
from dovetail.contracts import Batch
from dovetail.data.collate import Loaded
from dovetail.models.dual_encoder import DualEncoder
from dovetail.training.assemble import make_objective
from dovetail.training.gradient_cache import GradientCache, WholeBatch
from dovetail.training.log import read_log
from dovetail.training.loop import Trainer, accelerator
from dovetail.training.settings import Settings, Steps
from dovetail.training.task import Task
from tests import runs

SETTINGS = Settings(learning_rate=1e-3, precision="fp32", log_every=1, evaluations=0)


def _task(dropout: float = 0.0, tower: str = runs.TOWER) -> Task:
    torch.manual_seed(0)
    model = runs.model()
    if tower != runs.TOWER:
        model = DualEncoder(build(tower), model.text, 16, model.preprocessing, model.tokenizer, model.alike)
    model.image_projection = nn.Sequential(nn.Dropout(dropout), model.image_projection)  # type: ignore[assignment]
    return Task(model, make_objective("infonce")).train()


def _cache(task: nn.Module, size: int) -> GradientCache:
    return GradientCache(WholeBatch(task, accelerator(SETTINGS)), size)


def _kept(task: Task, size: int) -> int:
    """The most numbers that are kept for a backward pass at one time."""
    held = most = 0

    class Kept:
        def __init__(self, x: Tensor):
            nonlocal held, most
            self.x = x
            held += x.numel()
            most = max(most, held)

        def __del__(self) -> None:
            nonlocal held
            held -= self.x.numel()

    with torch.autograd.graph.saved_tensors_hooks(Kept, lambda kept: kept.x):
        _cache(task, size)(runs.batch(16), 1, True)
    return most


def test_the_activations_kept_are_those_of_one_piece() -> None:
    whole, halves, eighths = (_kept(_task(), size) for size in (16, 8, 2))
    assert halves < 0.65 * whole
    assert eighths < 0.25 * whole


def test_no_more_images_are_in_the_towers_than_allowed() -> None:
    task, seen = _task(), []
    task.model.image.register_forward_hook(lambda module, x, y: seen.append(len(x[0])))
    _cache(task, 3)(runs.batch(7), 1, True)
    assert seen == [3, 2, 2] * 2
    seen.clear()
    _cache(task, 7)(runs.batch(7), 1, True)
    assert seen == [7], "a batch that is one piece goes through the towers once"


class _Drawing(nn.Module):
    """An objective that has parameters of its own and a draw in its terms."""

    requires = ()

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.weight, self.drawn = make_objective("infonce"), nn.Parameter(torch.ones(3)), list[float]()

    def encode(self, model: DualEncoder, batch: Batch) -> Any:
        return self.inner.encode(model, batch)

    def terms(self, outputs: Any, batch: Batch) -> Mapping[str, Tensor]:
        self.drawn.append(float(torch.rand(1)))
        return {**self.inner.terms(outputs, batch), "weight": (self.weight**2).sum()}


def test_both_passes_draw_the_same_random_numbers_and_the_terms_their_own() -> None:
    task = Task(_task(dropout=0.5).model, _Drawing()).train()
    masks: list[Tensor] = []
    task.model.image_projection[0].register_forward_hook(lambda module, x, y: masks.append(y.detach() == 0))
    torch.manual_seed(5)
    _cache(task, 2)(runs.batch(6), 1, True)
    after = torch.rand(1)
    assert all(torch.equal(a, b) for a, b in zip(masks[:3], masks[3:], strict=True))
    assert not torch.equal(masks[0], masks[1])
    torch.manual_seed(5)
    for _ in range(3):
        nn.functional.dropout(torch.ones(2, 32), 0.5)
    assert task.objective.drawn == [float(torch.rand(1))]
    assert torch.equal(after, torch.rand(1)), "what comes after draws on, as if each piece had been encoded once"


def test_frozen_towers_learn_nothing_and_the_objective_does() -> None:
    task = Task(runs.model().requires_grad_(False), _Drawing())
    loss = _cache(task, 2)(runs.batch(6), 2, True)
    assert task.objective.weight.grad.tolist() == [1.0] * 3  # 2 w, over a share of 2
    assert loss.ndim == 0 and not loss.requires_grad
    assert all(p.grad is None for p in task.model.parameters())
    assert len(task.objective.drawn) == 1


def test_running_statistics_move_once_a_piece() -> None:
    resnet = "timm:test_resnet"
    found, once = _task(tower=resnet), _task(tower=resnet)
    data = runs.batch(6)
    _cache(found, 2)(data, 1, True)
    for start in (0, 2, 4):
        once.model.image_features(data.images[start : start + 2])
    expected = dict(once.named_buffers())
    moved = [name for name, b in found.named_buffers() if "running" in name or "tracked" in name]
    assert moved and all(torch.equal(dict(found.named_buffers())[name], expected[name]) for name in moved)
    assert all(m.track_running_stats for m in found.modules() if hasattr(m, "track_running_stats"))


def _trainer(folder: Path, task: Task, settings: Settings) -> Trainer:
    folder.mkdir(exist_ok=True)
    console = Console(file=io.StringIO(), width=400)
    return Trainer(task, settings, Steps(3), folder, accelerator(settings), console=console)


def _losses(folder: Path, settings: Settings, dropout: float) -> list[float]:
    def batches(start: int) -> Iterator[Loaded]:
        return (runs.loaded(6, seed=i) for i in count(start))

    _trainer(folder, _task(dropout), settings).run(batches, lambda model: None)
    return [row["loss"] for row in read_log(folder / "log.jsonl")]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_run_in_pieces_is_the_run_without(tmp_path: Path, accumulate: int) -> None:
    settings = replace(SETTINGS, accumulate=accumulate)
    whole = _losses(tmp_path / "whole", settings, 0.0)
    assert _losses(tmp_path / "pieces", replace(settings, micro_batch=2), 0.0) == pytest.approx(whole, rel=1e-4)


def test_a_run_in_pieces_repeats_itself(tmp_path: Path) -> None:
    settings = replace(SETTINGS, micro_batch=2)
    first = _losses(tmp_path / "a", settings, 0.3)
    assert _losses(tmp_path / "b", settings, 0.3) == first
    assert first != _losses(tmp_path / "c", settings, 0.0)


def test_batch_normalisation_is_warned_of_once(tmp_path: Path) -> None:
    def told(tower: str, size: int | None) -> str:
        trainer = _trainer(tmp_path / "run", _task(tower=tower), replace(SETTINGS, micro_batch=size))
        assert isinstance(trainer.console.file, io.StringIO)
        return trainer.console.file.getvalue()

    assert told("timm:test_resnet", 2).count("warning: a tower has batch normalisation") == 1
    assert told("timm:test_resnet", None) == told(runs.TOWER, 2) == ""
