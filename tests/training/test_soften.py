"""Means of the original and the tuned weights."""

import io
import json
from pathlib import Path

import pytest
import torch
from rich.console import Console

from dovetail.data.records import DataError, Problems
from dovetail.methods.objectives.long_clip import LongClip
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.pretrained import load, save
from dovetail.training.checkpoint import State
from dovetail.training.run import Run
from dovetail.training.soften import softened, tuned_copy
from tests.models.small import model


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """An original and a run."""
    return save(model(), tmp_path / "original"), save(model(), tmp_path / "run")


def _run(folder: Path) -> Run:
    return Run(folder, load(folder), State(), Problems(), {})


def test_the_mean_replaces_the_tuned_model_once(places: tuple[Path, Path]) -> None:
    original, folder = places
    first, tuned = load(original).state_dict(), load(folder).state_dict()
    for _ in range(2):  # again, as when the same command is given again
        found = softened(_run(folder), str(original), 0.25, None, Console(quiet=True))
        for name, tensor in load(folder).state_dict().items():
            torch.testing.assert_close(tensor, 0.75 * first[name] + 0.25 * tuned[name])
            assert torch.equal(found.model.state_dict()[name], tensor)
    assert all(torch.equal(load(tuned_copy(folder)).state_dict()[k], v) for k, v in tuned.items())
    assert not (folder / "wise.json").exists()


def test_the_figures_on_the_way_are_written(places: tuple[Path, Path]) -> None:
    original, folder = places

    def validate(model: DualEncoder) -> dict[str, float]:
        return {"val/mean_recall": float(model.log_scale.detach()), "val/other": 1.0}

    console = Console(record=True, width=100, file=io.StringIO())
    softened(_run(folder), str(original), 0.3, validate, console)
    rows = json.loads((folder / "wise.json").read_text())
    assert [row["alpha"] for row in rows] == [0.0, 0.25, 0.3, 0.5, 0.75, 1.0]
    told = console.export_text()
    assert "val/mean_recall" in told and "val/other" not in told and "0.3" in told


def test_a_model_that_was_given_other_parts_is_kept(places: tuple[Path, Path]) -> None:
    original, folder = places
    longer = load(folder)
    LongClip(context=50).begin(longer, ())
    save(longer, folder)
    before = load(folder).state_dict()
    with pytest.raises(DataError, match=r"--wise: the tuned model has other parts .* no text\.positions; .* holds"):
        softened(_run(folder), str(original), 0.5, None, Console(quiet=True))
    assert all(torch.equal(load(folder).state_dict()[k], v) for k, v in before.items())
