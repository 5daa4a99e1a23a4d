"""Text files, plain or gzipped, line by line, with errors that name the line."""

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from dovetail.data.records import DataError

GZIP = ".gz"


def open_bytes(path: Path) -> io.BufferedIOBase:
    """The file, unpacked if its name ends in .gz. Raises DataError when it cannot be opened."""
    try:
        return gzip.open(path) if path.suffix == GZIP else path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from error


def lines(path: Path, start: int = 0, count: int | None = None, first: int = 1) -> Iterator[tuple[int, str]]:
    """Numbered lines with their line ends. Begins at byte `start`, which is line number `first`; at most `count` lines.

    Raises DataError at a line that is not UTF-8, and where a file cannot be read or unpacked any further.
    """
    number = first
    with open_bytes(path) as file:
        try:
            file.seek(start)
            for number, raw in enumerate(file, first):
                if count is not None and number - first >= count:
                    return
                yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path} line {number}: the bytes are not UTF-8. Convert the file first, "
                f"for example: iconv -f latin1 -t utf-8 {path.name} > utf8-{path.name}"
            ) from error
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: cannot be read past line {number}: {error}.") from error


def whole(path: Path) -> str:
    """All of the file's text. Raises DataError as `lines` does."""
    return "".join(text for _, text in lines(path))


def blocks(path: Path, size: int) -> list[tuple[int, int]]:
    """Where to cut a file of lines into runs of `size` lines: the byte each starts at, and its line number.

    A gzipped file is one run, for it can only be read from its start.
    """
    if path.suffix == GZIP:
        return [(0, 1)]
    cuts, at = [], 0
    with open_bytes(path) as file:
        for number, raw in enumerate(file, 1):
            if number % size == 1 or size == 1:
                cuts.append((at, number))
            at += len(raw)
    return cuts


def absolute(folder: str | Path | None, path: Path) -> Path:
    """The folder that relative image paths start at: the one given, or the table's own."""
    return Path(os.path.abspath(path.parent if folder is None else folder))
