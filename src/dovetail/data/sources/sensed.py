"""What a depth cell and a video cell say."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dovetail.data.records import ImageLike, Problems
from dovetail.data.sources import pictures, texts
from dovetail.data.sources.columns import Fields
from dovetail.data.sources.pictures import SUFFIXES, UnusableImage


def depth(cells: Mapping[str, Any], fields: Fields, folder: Path, problems: Problems, name: str) -> ImageLike | None:
    """The picture of depth of a row, if it has one; what cannot be used is counted in `problems`."""
    cell = cells.get(fields.depth) if fields.depth else None
    if texts.nothing(cell) or ("depth" in fields.guessed and not _picture(cell)):
        return None
    try:
        return pictures.locate(cell, folder)
    except UnusableImage as error:
        problems.add(f"depth: {error.args[0]}", name)
        return None


def video(
    cells: Mapping[str, Any], fields: Fields, folder: Path, problems: Problems, name: str
) -> tuple[ImageLike, ...]:
    """The frames of a row's video: those of a list, or the pictures of a folder by name. A video of which one cannot
    be used is counted in `problems` and left out."""
    cell = texts.unpacked(cells.get(fields.video)) if fields.video else None
    if texts.nothing(cell) or ("video" in fields.guessed and not _frames(cell)):
        return ()
    try:
        return tuple(pictures.locate(frame, folder) for frame in _listed(cell, folder))
    except UnusableImage as error:
        problems.add(f"video: {error.args[0]}", name)
        return ()


def used(cells: Mapping[str, Any], fields: Fields) -> Iterator[str]:
    """The columns of depth and video whose cells are meant as such."""
    for meaning, column, fits in (("depth", fields.depth, _picture), ("video", fields.video, _frames)):
        if column and (meaning not in fields.guessed or fits(texts.unpacked(cells.get(column)))):
            yield column


def _listed(cell: Any, folder: Path) -> list[Any]:
    if isinstance(cell, list | tuple):
        return list(cell)
    here = os.path.join(folder, cell) if isinstance(cell, str | os.PathLike) else ""
    if not os.path.isdir(here):
        raise UnusableImage("neither a list of frames nor a folder of them")
    found = sorted(f for f in os.listdir(here) if os.path.splitext(f)[1].lower() in SUFFIXES)
    if not found:
        raise UnusableImage("no pictures in its folder")
    return [os.path.join(here, f) for f in found]


def _picture(cell: Any) -> bool:
    """Whether a cell can only be meant as a picture: a number is another depth than that of a scene."""
    if isinstance(cell, str | os.PathLike):
        return os.path.splitext(cell)[1].lower() in SUFFIXES
    return not isinstance(cell, bool | int | float)


def _frames(cell: Any) -> bool:
    return isinstance(cell, list | tuple) and all(map(_picture, cell))
