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
# What needs towers of its own, and the tests that train it.
ELSEWHERE = {"vladva": "tests/methods/objectives/test_vladva.py", "proclip": "tests/methods/schedules/test_proclip.py"}


def _spec(entry: Entry) -> str:
    """The method with small numbers for its widths and banks."""
    small = {name: SMALL[name][0] for name in entry.options if name in SMALL and isinstance(SMALL[name][0], int)}
    return f"{entry.key}({', '.join(f'{name}={value}' for name, value in small.items())})"


FOUND = [e for contract in (Objective, Schedule) for e in entries(contract) if e.key not in ELSEWHERE]


@pytest.fixture(scope="module")
def data() -> tuple[Any, Any]:
    source = open_source([SCENES[i] for i in range(len(SCENES))])
    return source, survey([source], decode)


@pytest.mark.parametrize("entry", FOUND, ids=lambda e: f"{e.contract}-{e.key}")
def test_it_trains_by_name(entry: Entry, data: tuple[Any, Any], tmp_path: Path) -> None:
    source, surveyed = data
    recipe: Recipe = replace(QUICK, objective=_spec(entry)).resolved(surveyed.items, False)
    run = fit([source], surveyed, tmp_path / "run", recipe, {}, workers=0, console=Console(quiet=True))
    assert run.state.step == 6 and run.state.images == 48 and not run.skipped.counts
    again = dovetail.load(tmp_path / "run")
    assert again.encode_image(SCENES[0].image).shape == (1, 64) == again.encode_text("a red circle").shape


def test_those_left_out_are_trained_elsewhere() -> None:
    root = Path(__file__).parents[1]
    for key, path in ELSEWHERE.items():
        assert key in (root / path).read_text()
