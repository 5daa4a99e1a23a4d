"""What a text that names data means: several places with `::`, braces, patterns, and a split after `#`."""

import difflib
import glob
import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path

from dovetail.data.records import DataError

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


@dataclass(frozen=True)
class Place:
    """Files or folders that exist, and the splits of them that are wanted (none: all there is)."""

    paths: tuple[Path, ...]
    splits: frozenset[str]


def expand(text: str) -> list[str]:
    """`a-{000..002}.tar` and `a-{x,y}.tar` written out, as a shell does; leading zeros keep the width."""
    pieces = _BRACES.split(text)
    choices = [_choices(p) if i % 2 else [p] for i, p in enumerate(pieces)]
    return ["".join(chosen) for chosen in itertools.product(*choices)]


def _choices(inside: str) -> list[str]:
    span = _RANGE.fullmatch(inside)
    if span is None:
        return inside.split(",") if "," in inside else ["{" + inside + "}"]
    low, high = span[1], span[2]
    step = 1 if int(low) <= int(high) else -1
    width = len(low) if low.startswith("0") or len(low) == len(high) else 0
    return [str(n).zfill(width) for n in range(int(low), int(high) + step, step)]


def place(text: str) -> Place:
    """Finds the files and folders that a text names. What exists under the very name is taken, pattern or not.

    Raises DataError for what does not exist, with the nearest names that do.
    """
    if os.path.exists(text):
        return Place((Path(text),), frozenset())
    body, splits = split_of(text)
    paths = [path for part in body.split("::") for name in _names(part) for path in _found(name)]
    return Place(tuple(paths), splits)


def split_of(text: str) -> tuple[str, frozenset[str]]:
    """`x.json#train+restval` is x.json and its splits train and restval."""
    body, _, chosen = text.partition("#")
    return body, frozenset(filter(None, chosen.split("+")))


def _names(part: str) -> list[str]:
    return [part] if os.path.exists(part) else expand(part)


def _found(name: str) -> list[Path]:
    if os.path.exists(name):
        return [Path(name)]
    if glob.has_magic(name) and (matching := sorted(glob.glob(name, recursive=True))):
        return [Path(p) for p in matching]
    raise DataError(f"{name or 'the empty text'}: no such file or folder.{_nearest(Path(name))}")


def _nearest(path: Path) -> str:
    if not path.parent.is_dir():
        return f" There is no folder {path.parent} either."
    near = difflib.get_close_matches(path.name, os.listdir(path.parent), n=3)
    return f" Did you mean {' or '.join(str(path.parent / n) for n in near)}?" if near else ""
