"""A run of several processes is the run of one, and goes on in any number of them."""

import io
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from dovetail.cli.main import main
from dovetail.data.collate import Loaded
from dovetail.evaluation.result import Results
from dovetail.training import loop
from dovetail.training.assemble import make_objective
from dovetail.training.checkpoint import State, newest
from dovetail.training.processes import is_main, meet, on_this_machine
from dovetail.training.run import device
from dovetail.training.settings import Settings, Steps
from dovetail.training.task import Task
from tests import runs
from tests.processes import run as in_processes

SETTINGS = {"precision": "fp32", "log_every": "1", "evaluations": "2", "save_seconds": "0.05", "ema": "0.9"}
OPTIONS = [word for name, value in SETTINGS.items() for word in (f"--settings.{name}", value)]
SHARDED = ["--settings.shard", "true"]


class _Killed(BaseException):
    pass


def as_torchrun_does(rank: int, world: int) -> None:
    """Tells this process which of how many it is."""
    os.environ.update({"RANK": str(rank), "LOCAL_RANK": str(rank)})
    os.environ.update({"WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world)})


def _train(rank: int, world: int, arguments: list[str], until: int | None = None) -> bool:
    """The command; all processes die after step `until`."""
    as_torchrun_does(rank, world)
    save = loop.save_checkpoint

    def save_and_die(*about: Any) -> None:
        save(*about)
        if about[-1].step == until:
            raise _Killed

    loop.save_checkpoint = save_and_die
    try:
        main(arguments)
    except _Killed:
        assert until is not None
    finally:
        loop.save_checkpoint = save
    return is_main()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, and in `one` what a single process makes of them."""
    folder = tmp_path_factory.mktemp("photos")
    runs.photos(folder, "train", 40)
    runs.photos(folder, "val", 9, seed=1)
    main(_command(folder, "one"))
    return folder


def _command(folder: Path, out: str) -> list[str]:
    data = ["--data", str(folder / "train.csv"), "--val", str(folder / "val.csv"), "--out", str(folder / out)]
    return ["train", *data, *runs.SMALL, *OPTIONS, "--batch", "12", "--steps", "6", "--workers", "0"]


def _assert_as_one(folder: Path, out: str) -> None:
    one, other = folder / "one", folder / out
    assert [row["images"] for row in runs.rows(other)] == [12, 24, 36, 48, 60, 72]
    for key in ("loss", "val/mean_recall"):
        expected = [row[key] for row in runs.rows(one, key)]
        assert [row[key] for row in runs.rows(other, key)] == pytest.approx(expected, abs=1e-4)
    assert {p.name for p in other.iterdir()} == {p.name for p in one.iterdir()}
    mine, theirs = (load_file(run / "model.safetensors") for run in (other, one))
    assert mine.keys() == theirs.keys()
    for name, tensor in theirs.items():
        torch.testing.assert_close(mine[name], tensor, atol=1e-4, rtol=1e-3, msg=name)
    figures, expected = (
        {k: e.value for k, e in Results.read(run / "metrics.json").results[0].items()} for run in (other, one)
    )
    assert figures == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("options", [pytest.param([], id="copies"), pytest.param(SHARDED, id="sharded")])
def test_two_processes_train_as_one(photos: Path, options: list[str]) -> None:
    out = "two" + "-sharded" * bool(options)
    assert in_processes(_train, 2, 2, [*_command(photos, out), *options]) == [True, False]
    _assert_as_one(photos, out)
    path = newest(photos / out / "checkpoints")
    assert path is not None
    sizes = [sum(x.numel() for x in load_file(shard).values()) for shard in sorted(path.glob("*.safetensors"))]
    assert len(sizes) == (2 if options else 1)
    assert max(sizes) < 1.2 * min(sizes)  # of two shards each holds half


def test_a_run_goes_on_in_any_number_of_processes(photos: Path) -> None:
    """Killed three times, and each time continued by others."""
    for processes, options, until in [(2, SHARDED, 1), (1, [], 2), (3, SHARDED, 4), (2, [], None)]:
        resume = ["--resume"] if until != 1 else []
        in_processes(_train, processes, processes, [*_command(photos, "many"), *options, *resume], until)
    _assert_as_one(photos, "many")


def test_a_single_process_needs_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert is_main() and on_this_machine() == 1
    assert meet().type == device().type
    monkeypatch.setenv("RANK", "1")
    assert not is_main()


def _with_broken_batches(rank: int, folder: Path) -> tuple[State, list[float]]:
    """Every fourth batch of the second process holds no usable picture."""
    as_torchrun_does(rank, 2)

    def batches(start: int) -> Iterator[Loaded]:
        for i in count(start):
            broken = Loaded(None, (("truncated image", f"photo {i}"),))
            yield broken if rank == 1 and i % 4 == 1 else runs.loaded(seed=2 * i + rank)

    settings = Settings(learning_rate=1e-3, precision="fp32", log_every=1, evaluations=0)
    torch.manual_seed(0)
    task, console = Task(runs.model(), make_objective("infonce")), Console(file=io.StringIO())
    trainer = loop.Trainer(task, settings, Steps(6), folder, loop.accelerator(settings), console=console)
    state = trainer.run(batches, lambda model: None)
    return state, [float(p.detach().sum()) for p in trainer.model.parameters()]


def test_a_batch_that_one_process_cannot_use_is_passed_over_by_all(tmp_path: Path) -> None:
    (one, weights), (two, others) = in_processes(_with_broken_batches, 2, tmp_path)
    assert one.step == two.step == 6 and one.consumed == two.consumed == 8
    assert one.skipped == two.skipped == {"photo 1": "truncated image", "photo 5": "truncated image"}
    assert weights == others
