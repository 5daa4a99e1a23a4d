"""The run's diary: one JSON object a line, the same to TensorBoard, and a bar for whoever watches."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter


class Log:
    """Writes rows of figures. A resumed run drops the rows past the checkpoint it continues from, then appends.

    Args:
        folder: the run's; holds log.jsonl and tensorboard/.
        start: the step that the run continues from.
    """

    def __init__(self, folder: Path, start: int = 0):
        self.path = folder / "log.jsonl"
        _keep_until(self.path, start)
        self._file = self.path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=start + 1 if start else None)

    def row(self, step: int, figures: Mapping[str, float]) -> None:
        """One row, at once on disk."""
        self._file.write(json.dumps({"step": step, **figures}) + "\n")
        self._file.flush()
        for name, value in figures.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Ends both logs."""
        self._file.close()
        self._board.close()


def read_log(path: Path) -> list[dict[str, float]]:
    """The rows of a log; a last line that a kill cut short is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def _keep_until(path: Path, step: int) -> None:
    kept = [row for row in read_log(path) if row["step"] <= step] if step else []
    part = path.with_name(path.name + ".part")
    part.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    os.replace(part, path)


def bar(console: Console, what: str = "train") -> Progress:
    """A progress bar with how it goes (in training the loss and the speed) and the time left."""
    return Progress(
        TextColumn(f"[bold]{what}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"),
        TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=console, refresh_per_second=2,
    )  # fmt: skip
