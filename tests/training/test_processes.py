"""A run of two processes is the run of one."""

import os
from pathlib import Path

import pytest

from dovetail.cli.main import main
from dovetail.training.loop import is_main
from tests import runs
from tests.processes import run as in_processes

SETTINGS = {"precision": "fp32", "log_every": "1", "evaluations": "2", "save_seconds": "0.05"}
OPTIONS = [word for name, value in SETTINGS.items() for word in (f"--settings.{name}", value)]


def _train(rank: int, arguments: list[str]) -> bool:
    """The command as torchrun starts it: the rank stands in the environment."""
    os.environ.update({"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"})
    main(arguments)
    return is_main()


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    runs.photos(tmp_path, "train", 40)
    runs.photos(tmp_path, "val", 8, seed=1)

    def command(out: str) -> list[str]:
        data = ["--data", str(tmp_path / "train.csv"), "--val", str(tmp_path / "val.csv"), "--out", str(tmp_path / out)]
        return ["train", *data, *runs.SMALL, *OPTIONS, "--steps", "6", "--workers", "0"]

    main(command("one"))
    assert in_processes(_train, 2, command("two")) == [True, False]
    one, two = runs.rows(tmp_path / "one"), runs.rows(tmp_path / "two")
    assert [row["loss"] for row in two] == pytest.approx([row["loss"] for row in one], abs=1e-4)
    assert [row["images"] for row in two] == [row["images"] for row in one] == [16, 32, 48, 64, 80, 96]
    assert len(runs.rows(tmp_path / "two", "val/mean_recall")) == 2  # one of them evaluates
    assert {p.name for p in (tmp_path / "two").iterdir()} == {p.name for p in (tmp_path / "one").iterdir()}
