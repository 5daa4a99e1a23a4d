"""A run that is killed at any moment and continued is, bit for bit, the run that was not."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dovetail.cli.main import main
from dovetail.training.checkpoint import newest
from tests import runs


def _killed(arguments: list[str], run: Path, rows: int) -> None:
    """Starts the command and kills it once the log has so many rows and there is a checkpoint."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "dovetail.cli.main", *arguments]
    log = run / "log.jsonl"
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, start_new_session=True) as process:
        try:
            deadline = time.monotonic() + 120
            while not (log.exists() and len(log.read_bytes().splitlines()) >= rows and newest(run / "checkpoints")):
                assert process.poll() is None, process.stderr.read().decode()  # type: ignore[union-attr]
                assert time.monotonic() < deadline, "it does not come so far"
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
        finally:
            process.kill()
            process.wait()
            os.killpg(process.pid, signal.SIGKILL) if _alive(process.pid) else None  # loader workers that outlive it


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("workers", "kills"),
    [pytest.param(0, (5, 17), id="killed twice"), pytest.param(2, (11,), id="two loader workers")],
)
def test_killed_and_continued(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], workers: int, kills: tuple[int, ...]
) -> None:
    """The run has an average of its weights, three evaluations, and pictures that cannot be read."""
    run, whole = tmp_path / "run", trained / "run"
    command = [*runs.train_arguments(trained, run), "--workers", str(workers)]
    for i, rows in enumerate(kills):
        _killed([*command, "--resume"] if i else command, run, rows)
        step = newest(run / "checkpoints")
        assert step is not None and 0 < int(step.name.removeprefix("step-")) < 24
        assert not (run / "report.html").exists()
        if i == 0:  # as a kill in the middle of a line, and of a checkpoint, leaves it
            with (run / "log.jsonl").open("a") as file:
                file.write('{"step": 24, "lo')
            shutil.copytree(step, run / "checkpoints" / "part-00000024")
            (run / "checkpoints" / "part-00000024" / "state.json").unlink()
    main([*command, "--resume"])
    assert "continuing at step" in capsys.readouterr().err
    assert runs.losses(run) == runs.losses(whole)
    assert [row["step"] for row in runs.rows(run)] == list(range(1, 25))
    assert runs.rows(run, "val/mean_recall") == runs.rows(whole, "val/mean_recall")
    assert (run / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert (run / "metrics.json").read_text().replace(str(run), "") == (whole / "metrics.json").read_text().replace(
        str(whole), ""
    )
    assert (run / "report.html").exists()


def test_a_finished_run_is_continued_by_doing_nothing(trained: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained / "run", run)
    config = (run / "config.yaml").read_text().replace(str(trained / "run"), str(run))
    (run / "config.yaml").write_text(config)
    main(["train", "--config", str(run / "config.yaml"), "--resume", "--workers", "0"])
    assert runs.losses(run) == runs.losses(trained / "run")
    assert (run / "model.safetensors").read_bytes() == (trained / "run" / "model.safetensors").read_bytes()
