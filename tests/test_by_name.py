"""Every objective and every schedule trains by its name: data, loop, checkpoint, and the model that is kept."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import dovetail
from dovetail.catalogue import Entry, entries
from dovetail.contracts import Objective, Schedule
from dovetail.data.images import decode
from dovetail.data.sources import open_source
from dovetail.data.survey import survey
from dovetail.data.worlds import STYLES, Sampler, Scenes, Telling, World
from dovetail.evaluation.claims.laboratory import RECIPE
from dovetail.training.recipe import Recipe
from dovetail.training.run import fit
from dovetail.training.settings import Settings
from tests.contracts.samples import SMALL
from tests.methods.objectives.test_vladva import TOWERS
from tests.methods.schedules.test_proclip import QWEN

SCENES = Scenes(
    24,
    size=32,
    world=World(
        Sampler((1, 2)),
        STYLES["solid"],
        Telling(("short", "full", "long"), synthetic=("full",)),
        negatives=("swapped attribute", "wrong count"),
        senses=("depth", "video"),
    ),
)
SETTINGS = Settings(precision="fp32", log_every=1, evaluations=0)
QUICK = replace(RECIPE, steps=6, batch=8, captions_per_image=3, sub_captions=2, settings=SETTINGS)
# Those that need towers of their own, and a teacher for one of them.
APART = ("vladva", "proclip")


def _spec(entry: Entry) -> str:
    """The method with small numbers for its widths and banks."""
    small = {name: SMALL[name][0] for name in entry.options if name in SMALL and isinstance(SMALL[name][0], int)}
    return f"{entry.key}({', '.join(f'{name}={value}' for name, value in small.items())})"


FOUND = [e for contract in (Objective, Schedule) for e in entries(contract) if e.key not in APART]


@pytest.fixture(scope="module")
def data() -> tuple[Any, Any]:
    source = open_source([SCENES[i] for i in range(len(SCENES))])
    return source, survey([source], decode)


def _trained(recipe: Recipe, data: tuple[Any, Any], folder: Path) -> Path:
    """The folder of a run by this recipe, whose model is there and reads again."""
    source, surveyed = data
    recipe = recipe.resolved(surveyed.items, False)
    run = fit([source], surveyed, folder, recipe, {}, workers=0, console=Console(quiet=True))
    assert run.state.step == 6 and run.state.images == 48 and not run.skipped.counts
    again = dovetail.load(folder)
    assert again.encode_image(SCENES[0].image).shape == (1, 64) == again.encode_text("a red circle").shape
    return folder


@pytest.mark.parametrize("entry", FOUND, ids=lambda e: f"{e.contract}-{e.key}")
def test_it_trains_by_name(entry: Entry, data: tuple[Any, Any], tmp_path: Path) -> None:
    _trained(replace(QUICK, objective=_spec(entry)), data, tmp_path / "run")


def test_vladva_trains_by_name_with_towers_of_one_language_model(data: tuple[Any, Any], tmp_path: Path) -> None:
    recipe = replace(QUICK, objective="vladva(rank=2, image_prompt='{} is', text_prompt='{} is')", **TOWERS)
    _trained(recipe, data, tmp_path / "run")


def test_proclip_trains_by_name_with_a_run_for_its_teacher(data: tuple[Any, Any], tmp_path: Path) -> None:
    teacher = _trained(replace(QUICK, objective="clip"), data, tmp_path / "teacher")
    language = f"llm2clip_text(hf_text(config={ {**QWEN, 'vocab_size': 512}!r}, pool='last'), blocks=1)"
    _trained(replace(QUICK, objective=f"proclip(teacher={str(teacher)!r})", text=language), data, tmp_path / "run")
