"""The run's diary."""

import io
import json
from pathlib import Path

from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dovetail.training.log import Log, bar, read_log


def _written(folder: Path, *steps: int, start: int = 0) -> None:
    log = Log(folder, start)
    for step in steps:
        log.row(step, {"loss": step + 0.1, "learning_rate": 1 / 3})
    log.close()


def test_a_row_is_a_line_and_comes_back_exactly(tmp_path: Path) -> None:
    _written(tmp_path, 1, 2)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == read_log(tmp_path / "log.jsonl")
    assert read_log(tmp_path / "log.jsonl")[1] == {"step": 2, "loss": 2.1, "learning_rate": 1 / 3}


def test_rows_are_on_disk_at_once(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.row(1, {"loss": 1.0})
    assert read_log(tmp_path / "log.jsonl") == [{"step": 1, "loss": 1.0}]
    log.close()


def test_a_resumed_run_forgets_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    _written(tmp_path, 1, 2, 3, 4)
    _written(tmp_path, 3, 4, 5, start=2)
    assert [row["step"] for row in read_log(tmp_path / "log.jsonl")] == [1, 2, 3, 4, 5]


def test_a_run_from_the_start_begins_a_new_log(tmp_path: Path) -> None:
    _written(tmp_path, 1, 2)
    _written(tmp_path, 1)
    assert [row["step"] for row in read_log(tmp_path / "log.jsonl")] == [1]


def test_a_line_cut_by_a_kill_is_left_out(tmp_path: Path) -> None:
    _written(tmp_path, 1, 2)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 3, "los')
    assert [row["step"] for row in read_log(tmp_path / "log.jsonl")] == [1, 2]
    _written(tmp_path, 3, start=2)
    assert [row["step"] for row in read_log(tmp_path / "log.jsonl")] == [1, 2, 3]


def test_no_log_has_no_rows(tmp_path: Path) -> None:
    assert read_log(tmp_path / "log.jsonl") == []


def test_tensorboard_has_the_same(tmp_path: Path) -> None:
    _written(tmp_path, 1, 2)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["scalars"]) == {"loss", "learning_rate"}
    assert [(e.step, round(e.value, 4)) for e in events.Scalars("loss")] == [(1, 1.1), (2, 2.1)]


def test_the_bar_shows_what_it_is_told() -> None:
    out = io.StringIO()
    with bar(Console(file=out, force_terminal=True, width=120)) as shown:
        shown.add_task("loss 1.234  70 images/s", total=1.0, completed=0.5)
    assert "loss 1.234  70 images/s" in out.getvalue() and "50%" in out.getvalue()
