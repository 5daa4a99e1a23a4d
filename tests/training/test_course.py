"""Stages one after the other in the one loop: budget, what learns, and a run that was stopped in between."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from dovetail.contracts import Batch, Crops, Stage
from dovetail.data.images import decode
from dovetail.data.sources import open_source
from dovetail.data.stream import Plan as Order
from dovetail.data.survey import survey
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.files import load_tensors
from dovetail.training.assemble import make_objective
from dovetail.training.checkpoint import newest
from dovetail.training.course import Course, captions_of_an_image, keep
from dovetail.training.loop import accelerator
from dovetail.training.recipe import Recipe
from dovetail.training.settings import Settings
from tests import runs
from tests.training.test_assemble import surveyed

SETTINGS = Settings(learning_rate=1e-3, precision="fp32", log_every=1, save_seconds=0.0)


class Stopped(Exception):
    pass


class Following(nn.Module):
    """Contrastive with views, a part made when it begins, and progress written down; stops the run when told to."""

    requires = ()
    views = (Crops(2),)

    def __init__(self, stop: int | None = None):
        super().__init__()
        self.inner, self.stop, self.progress = make_objective("infonce"), stop, list[float]()
        self.loss = self.inner.loss

    def begin(self, model: DualEncoder, captions: Any) -> None:
        assert "red" in next(iter(captions))
        self.map = nn.Linear(model.embed_dim, 1)

    def advance(self, model: DualEncoder, progress: float) -> None:
        self.progress.append(progress)
        if len(self.progress) == self.stop:
            raise Stopped

    def encode(self, model: DualEncoder, batch: Batch) -> Any:
        assert batch.views is not None and len(batch.views.owner) == 2 * len(batch.ids)
        views = self.map(model.image_features(batch.views.images).pooled)
        return {"both": self.inner.encode(model, batch), "views": views}

    def terms(self, outputs: Any, batch: Batch) -> Mapping[str, Tensor]:
        return {**self.inner.terms(outputs["both"], batch), "views": outputs["views"].square().mean()}


def _course(folder: Path, data: Path) -> Course:
    recipe = Recipe(batch=8, steps=8, settings=SETTINGS)
    source = open_source(str(data))
    console = Console(file=io.StringIO())
    folder.mkdir(exist_ok=True)
    found, order = survey([source], decode), Order([source], 8, 0)
    return Course(recipe, [source], found, folder, 0, accelerator(SETTINGS), order, None, 0, console, None, None)


def _stages(stop: int | None = None) -> tuple[Stage, ...]:
    return Stage(Following(), 3.0, ("text", "text_projection")), Stage(Following(stop), 5.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return runs.photos(tmp_path_factory.mktemp("photos"), "train", 16)


def _model() -> DualEncoder:
    torch.manual_seed(0)
    return runs.model()


def test_every_stage_spends_its_share_and_has_a_schedule_of_its_own(tmp_path: Path, data: Path) -> None:
    model, stages = _model(), _stages()
    before = model.text_projection.weight.clone()
    trainer, state = _course(tmp_path / "run", data).run(model, stages, None)
    first, second = (stage.objective.progress for stage in stages)  # type: ignore[attr-defined]
    assert first == pytest.approx([0, 1 / 3, 2 / 3]) and second == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert (state.stage, state.step, state.consumed) == (1, 8, 8)
    assert [step for step, _ in runs.losses(tmp_path / "run")] == [*range(1, 9)]
    assert not trainer.task.model.text_projection.weight.equal(before), "frozen in the first stage only"


def test_stopped_and_continued_is_never_stopped(tmp_path: Path, data: Path) -> None:
    """In the second stage, whose first checkpoint has been written, and right after the first."""
    whole = _course(tmp_path / "whole", data)
    whole.run(_model(), _stages(), None)
    for stop in (1, 3):
        course = _course(tmp_path / f"stopped {stop}", data)
        with pytest.raises(Stopped):
            course.run(_model(), _stages(stop), None)
        kept = newest(course.folder / "checkpoints")
        assert kept is not None
        course.run(_model(), _stages(), kept)
        assert runs.losses(course.folder) == runs.losses(whole.folder)
        last, other = (newest(f / "checkpoints") for f in (course.folder, whole.folder))
        assert last is not None and other is not None
        for part in other.glob("*.safetensors"):
            mine, theirs = load_tensors(last / part.name), load_tensors(part)
            assert mine.keys() == theirs.keys() and all((mine[k] == theirs[k]).all() for k in theirs)


def test_a_stage_in_which_nothing_of_the_model_changes_leaves_it_alone(tmp_path: Path, data: Path) -> None:
    model = _model()
    before = {k: v.clone() for k, v in model.text.state_dict().items()}
    _course(tmp_path / "run", data).run(model, (Stage(Following(), 1.0, ("text",)),), None)
    assert all(v.equal(before[k]) for k, v in model.text.state_dict().items())


def test_the_model_is_kept(tmp_path: Path) -> None:
    keep(_model(), tmp_path, None)
    assert {"model.safetensors", "config.json"} <= {path.name for path in tmp_path.iterdir()}


def test_negative_captions_count_only_where_they_are_seen(tmp_path: Path) -> None:
    """Two images with two true captions each, and three false ones."""
    rows = [
        {"caption": ["a", "b"], "negatives": ["c", "d", "e"]},
        {"caption": ["f", "g"], "negatives": ["h", "i", "j"]},
    ]
    found = surveyed(tmp_path, *rows)
    assert (found.captions, found.negatives) == (10, 6)
    assert captions_of_an_image(Recipe(), found, negatives=False) == 2
    assert captions_of_an_image(Recipe(), found, negatives=True) == 5
    one = Recipe(captions_per_image=1)
    assert captions_of_an_image(one, found, negatives=False) == 1
    assert captions_of_an_image(one, found, negatives=True) == 2, "at most one of either sort"
