"""The data of an experiment: described, sent elsewhere, opened once."""

import pickle
from pathlib import Path

import pytest

from dovetail.data.sources import Table
from dovetail.data.worlds import Scenes
from dovetail.evaluation.claims.fingerprint import describe
from dovetail.evaluation.claims.sources import Files, Side, of_seed, opened
from tests import runs
from tests.evaluation.claims import small

SCENES = Scenes(6, size=16, world=small.WORLD)


def test_scenes_are_rendered_once() -> None:
    table = opened(SCENES)
    assert isinstance(table, Table) and len(table) == 6
    assert table[2] is opened(Scenes(6, size=16, world=small.WORLD))[2]  # type: ignore[index]
    assert (table[2].image == SCENES[2].image).all()


def test_a_seed_draws_its_own_scenes_and_leaves_files_alone(tmp_path: Path) -> None:
    assert of_seed(SCENES, 4) == Scenes(6, 4, 16, small.WORLD)
    files = Files.of(str(runs.photos(tmp_path, "a", 3)))
    assert of_seed(files, 4) is files


def test_files_are_a_table_that_knows_when_it_changed(tmp_path: Path) -> None:
    path = runs.photos(tmp_path, "a", 3)
    files = Files.of(str(path))
    assert len(files) == 3 and files[1].captions and files.name == str(path) and not files.problems.counts
    assert pickle.loads(pickle.dumps(files)) == files
    before = describe(files)
    path.write_text(path.read_text() + "a/0.jpg,another caption\n")
    assert describe(Files.of(str(path))) != before


@pytest.mark.parametrize("held_out", [False, True])
def test_a_side_of_files(tmp_path: Path, held_out: bool) -> None:
    files = Files.of(str(runs.photos(tmp_path, "a", 60)))
    side, other = (opened(Side(files, which)) for which in (held_out, not held_out))
    assert isinstance(side, Table) and isinstance(other, Table)
    names = {side[i].name for i in range(len(side))}
    assert len(side) + len(other) == 60 and not names & {other[i].name for i in range(len(other))}
    assert (len(side) < 20) == held_out
