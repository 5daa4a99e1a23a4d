"""The command line: how it is read, and how it fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dovetail.cli import main as cli
from dovetail.cli.evaluate import evaluate
from dovetail.cli.main import COMMANDS, main, spelled_out
from dovetail.cli.train import train
from dovetail.training.watch import TrainingStopped


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["--data", "a.csv", "b.csv", "--out", "x"], ['--data=["a.csv", "b.csv"]', "--out", "x"]),
        (["--data", "a.csv"], ['--data=["a.csv"]']),
        (["--data=a.csv"], ['--data=["a.csv"]']),
        (['--data=["a", "b"]'], ['--data=["a", "b"]']),
        (["--data", '["a", "b"]'], ['--data=["a", "b"]']),
        (["--val", "1", "--weights", "1", "2.5"], ['--val=["1"]', '--weights=["1", "2.5"]']),
        (["--resume", "--out", "x"], ["--resume=true", "--out", "x"]),
        (["--resume", "false"], ["--resume=false"]),
        (["--stream=true", "--steps", "3"], ["--stream=true", "--steps", "3"]),
        (["--micro-batch", "64", "--out", "my-run"], ["--micro_batch", "64", "--out", "my-run"]),
        (["--settings.learning-rate=1e-3"], ["--settings.learning_rate=1e-3"]),
        (["--captions-per-image=2", "--data", "my-data.csv"], ["--captions_per_image=2", '--data=["my-data.csv"]']),
        (["--data", "shards/{000..009}.tar::more/*.tar"], ['--data=["shards/{000..009}.tar::more/*.tar"]']),
    ],
)
def test_lists_and_switches_are_spelled_out(given: list[str], read: list[str]) -> None:
    assert spelled_out(given, train) == read


def test_the_name_of_a_run_stays_in_front() -> None:
    assert spelled_out(["runs/a", "--data", "b"], evaluate) == ["runs/a", '--data=["b"]']


def test_help_names_every_command_with_its_first_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    for command in COMMANDS:
        assert f"{command} {cli._summary(command)}" in told and len(cli._summary(command)) > 10


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 0 and "evaluate" in capsys.readouterr().out


def test_the_options_of_a_command_are_its_signature(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "--settings.learning_rate" in told and "--augment.flip" in told and "--columns.captions" in told
    assert "relative to the others" in told  # the docstring's words


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["tarin"], "tarin"),
        (["train", "--data", "a.csv", "--stepps", "3"], "stepps"),
        (["train", "--out", "x"], "data"),
        (["train", "--data", "a.csv", "--size", "huge"], "tiny"),
        (["train", "--data", "a.csv", "--steps", "many"], "steps"),
        (["train", "--config", "missing.yaml"], "missing.yaml"),
        (["evaluate", "--data", "a.csv"], "run"),
    ],
)
def test_a_mistake_is_named(capsys: pytest.CaptureFixture[str], arguments: list[str], told: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and told in capsys.readouterr().err


def _raising(error: BaseException) -> object:
    def methods(json: bool = False) -> None:
        raise error

    return methods


def test_an_expected_error_is_a_sentence_not_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("dovetail.cli.methods.methods", _raising(TrainingStopped("the loss is [bold]nan[/bold]")))
    with pytest.raises(SystemExit) as ended:
        main(["methods"])
    assert ended.value.code == 2 and capsys.readouterr().err.strip() == "error: the loss is [bold]nan[/bold]"


def test_an_interrupt_ends_quietly(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("dovetail.cli.methods.methods", _raising(KeyboardInterrupt()))
    with pytest.raises(SystemExit) as ended:
        main(["methods"])
    assert ended.value.code == 130 and capsys.readouterr().err.strip() == "stopped"


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dovetail.cli.methods.methods", _raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        main(["methods"])


def test_as_a_program(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "dovetail.cli.main", "embed", "nowhere", "--data", "a.csv", "--out", "x"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stdout == "" and "Traceback" not in done.stderr
    assert done.stderr.startswith("error: nowhere: no such folder; expected a run or checkpoint folder")
    assert not list(tmp_path.iterdir())
