"""JSON files: a list of objects, an object that holds one, COCO captions, Karpathy's splits."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from dovetail.data.records import DataError, Problems
from dovetail.data.sources import jsonlines
from dovetail.data.sources.columns import Columns
from dovetail.data.sources.rows import Part, Row
from dovetail.data.sources.textfile import absolute, whole


def parts(paths: list[Path], columns: Columns) -> list[Part]:
    """One part a file. A file that holds one object a line, whatever its name says, is read as JSON lines."""
    return [part for path in paths for part in _parts(path, columns)]


def _parts(path: Path, columns: Columns) -> list[Part]:
    text = whole(path)
    if not text.strip():
        return []
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        if _has_objects_in_lines(text):
            return jsonlines.parts([path], columns)
        raise DataError(f"{path}: not valid JSON: {error}.") from error
    folder = absolute(columns.folder, path)
    for fits, read, roots in SHAPES:
        if fits(content):
            items = read(content)
            start = folder if columns.folder is not None else _root(folder, items, roots(path))
            return [Part(path.name, "item", start, partial(_rows, items, path.name), space=str(folder))]
    raise DataError(f"{path}: expected a list of objects, an object that holds one, or COCO or Karpathy captions.")


def _has_objects_in_lines(text: str) -> bool:
    first, _, others = text.lstrip().partition("\n")
    try:
        return isinstance(json.loads(first), dict) and bool(others.strip())
    except (ValueError, RecursionError):
        return False


def _rows(items: Sequence[Any], name: str, problems: Problems) -> Iterator[Row]:
    for number, item in enumerate(items, 1):
        if isinstance(item, dict):
            yield Row(number, item)
        else:
            problems.add("item is not a JSON object", f"{name} item {number}")


def _objects(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


def _is_coco(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("images"), list) and "annotations" in content


def _coco(content: dict[str, Any]) -> list[dict[str, Any]]:
    """COCO captions: `images` with id and file_name, `annotations` with image_id and caption."""
    said: dict[Any, list[Any]] = {}
    for note in content["annotations"]:
        if isinstance(note, dict) and "caption" in note:
            said.setdefault(note.get("image_id"), []).append(note["caption"])
    images = [image for image in content["images"] if isinstance(image, dict)]
    known = {image.get("id") for image in images}
    # captions whose image is not listed stay visible: they are counted as rows without an image
    lost = [{"id": i, "file_name": None, "captions": texts} for i, texts in said.items() if i not in known]
    return [{**image, "captions": said.get(image.get("id"), [])} for image in images] + lost


def _coco_roots(path: Path) -> list[str]:
    """Where the pictures may lie beside `annotations/captions_val2017.json`."""
    name = path.stem.rpartition("_")[2]
    return ["", "images", f"images/{name}", name, f"../{name}", f"../images/{name}", "../images"]


def _is_karpathy(content: Any) -> bool:
    images = content.get("images") if isinstance(content, dict) else None
    return isinstance(images, list) and any("sentences" in image for image in images if isinstance(image, dict))


def _karpathy(content: dict[str, Any]) -> list[Any]:
    """Karpathy's splits: `images` with filepath, filename, split and sentences, each with its raw text."""
    return [_karpathy_row(image) if isinstance(image, dict) else image for image in content["images"]]


def _karpathy_row(image: Mapping[str, Any]) -> dict[str, Any]:
    folder, name = image.get("filepath"), image.get("filename")
    where = f"{folder}/{name}" if folder and name else name
    others = {k: v for k, v in image.items() if k not in ("filepath", "filename", "sentences", "imgid", "sentids")}
    return {"id": image.get("imgid"), "image": where, "captions": image.get("sentences"), **others}


def _is_keyed(content: Any) -> bool:
    return isinstance(content, dict) and bool(content) and all(isinstance(item, dict) for item in content.values())


def _holds_objects(content: Any) -> bool:
    return isinstance(content, dict) and any(_objects(value) for value in content.values())


def _longest(content: dict[str, Any]) -> list[Any]:
    return max((value for value in content.values() if _objects(value)), key=len)


def _beside(path: Path) -> list[str]:
    return [""]


SHAPES: tuple[tuple[Callable[[Any], bool], Callable[[Any], list[Any]], Callable[[Path], list[str]]], ...] = (
    (_is_karpathy, _karpathy, _coco_roots),
    (_is_coco, _coco, _coco_roots),
    (lambda content: isinstance(content, list), lambda content: content, _beside),
    (_is_keyed, lambda content: [{"id": key, **item} for key, item in content.items()], _beside),
    (_holds_objects, _longest, _beside),
)
"""What a file may hold: how to tell, how to get its rows, and where its pictures may lie."""


def _root(folder: Path, items: Sequence[Any], roots: list[str]) -> Path:
    """The first of the places in which one of the first pictures lies; the table's own folder when none does."""
    names = [item.get("image") or item.get("file_name") for item in items[:20] if isinstance(item, dict)]
    found = (r for r in roots if any(isinstance(n, str) and (folder / r / n).is_file() for n in names))
    return (folder / next(found, "")).resolve()
