"""JSON lines: one object a line."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from dovetail.data.records import Problems
from dovetail.data.sources.columns import Columns
from dovetail.data.sources.rows import Part, Row
from dovetail.data.sources.textfile import absolute, blocks, lines

BLOCK = 10_000  # lines that a stream shuffles and reads as one


def rows(path: Path, start: int, count: int | None, first: int, problems: Problems) -> Iterator[Row]:
    """The objects of the file; a line that is none is counted and passed over."""
    for number, text in lines(path, start, count, first):
        if not text.strip():
            continue
        try:
            cells = json.loads(text)
        except (ValueError, RecursionError):
            problems.add("broken JSON line", f"{path.name} line {number}")
            continue
        if isinstance(cells, dict):
            yield Row(number, cells)
        else:
            problems.add("line is not a JSON object", f"{path.name} line {number}")


def parts(paths: list[Path], columns: Columns) -> list[Part]:
    """One part a file."""
    return [_part(path, columns, path.name, partial(rows, path, 0, None, 1)) for path in paths]


def units(paths: list[Path], columns: Columns) -> list[Part]:
    """One part for every 10,000 lines, so that a stream can be shuffled and resumed in pieces."""
    return [
        _part(path, columns, path.name, partial(rows, path, start, BLOCK, first))
        for path in paths
        for start, first in blocks(path, BLOCK)
    ]


def _part(path: Path, columns: Columns, name: str, read: partial[Iterator[Row]]) -> Part:
    folder = absolute(columns.folder, path)
    return Part(name, "line", folder, read, space=str(folder))
