"""Image folders: with a metadata table, with a caption file beside each picture, or with one folder a class."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from dovetail.data.records import DataError, Problems
from dovetail.data.sources import delimited, jsonlines
from dovetail.data.sources.columns import Columns
from dovetail.data.sources.pictures import SUFFIXES
from dovetail.data.sources.rows import Part, Row

METADATA = {"metadata.csv": delimited.parts, "metadata.tsv": delimited.parts, "metadata.jsonl": jsonlines.parts}
SPLITS = frozenset(("train", "training", "val", "valid", "validation", "dev", "test", "testing"))


def parts(paths: list[Path], columns: Columns) -> list[Part]:
    """One part a folder. A metadata table (`file_name` and any other columns) goes before caption files (a.jpg, a.txt,
    one caption a line), and these before class folders (daisy/a.jpg has the label daisy; a picture at the top none).

    Raises DataError when a folder holds no pictures, or several splits of which none was chosen.
    """
    return [_part(Path(os.path.abspath(path)), columns) for path in paths]


def _part(folder: Path, columns: Columns) -> Part:
    for name, read in METADATA.items():
        if (folder / name).is_file():
            return read([folder / name], columns)[0]
    splits = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    if len(splits) > 1 and SPLITS.issuperset(splits):
        raise DataError(f"{folder} holds the splits {', '.join(splits)}. Choose one: {folder / splits[-1]}")
    files = sorted(_walk(folder))
    pictures = [f for f in files if os.path.splitext(f)[1].lower() in SUFFIXES]
    if not pictures:
        raise DataError(f"{folder}: no pictures ({', '.join(sorted(SUFFIXES))}) in it.{_others(folder, files)}")
    texts = {f for f in files if f.endswith(".txt")}
    beside = [os.path.splitext(f)[0] + ".txt" for f in pictures]
    rows = partial(_captioned, folder, pictures, beside) if texts & set(beside) else partial(_classes, pictures)
    return Part(folder.name, "picture", folder, rows, space=str(folder))


def _walk(folder: Path) -> Iterator[str]:
    """The files in and under the folder by relative path; hidden ones are passed over."""
    for here, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [f for f in folders if not f.startswith(".")]
        yield from (os.path.relpath(os.path.join(here, f), folder) for f in files if not f.startswith("."))


def _others(folder: Path, files: list[str]) -> str:
    kinds = sorted({os.path.splitext(f)[1] for f in files} - {""})
    return f" It holds files in {', '.join(kinds)}; name them, for example {folder}/*{kinds[0]}" if kinds else ""


def _classes(pictures: list[str], problems: Problems) -> Iterator[Row]:
    for number, picture in enumerate(pictures, 1):
        top, _, inner = picture.partition(os.sep)
        yield Row(number, {"image": picture, "label": top if inner else None})


def _captioned(folder: Path, pictures: list[str], beside: list[str], problems: Problems) -> Iterator[Row]:
    for number, (picture, text) in enumerate(zip(pictures, beside, strict=True), 1):
        cells: dict[str, Any] = {"image": picture, "captions": None}
        try:
            cells["captions"] = caption_lines((folder / text).read_bytes())
        except UnicodeDecodeError:
            problems.add("caption is not UTF-8", f"{folder.name} picture {number} ({text})")
        except OSError:
            problems.add("no caption file", f"{folder.name} picture {number} ({picture})")
        yield Row(number, cells)


def caption_lines(raw: bytes) -> list[str]:
    """The captions of a text file: one a line; an empty file holds one empty caption. Raises UnicodeDecodeError."""
    return [line for line in raw.decode("utf-8-sig").splitlines() if line.strip()] or [""]
