"""Records written as json lines that every command reads as they are: what a curator made, kept."""

import io
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from dovetail.contracts import Kind
from dovetail.data.images import decode
from dovetail.data.records import Caption, DataError, ImageLike, Record
from dovetail.data.sources import columns
from dovetail.data.sources.pictures import identity

KINDS = {"captions": Kind.RAW, **columns.KINDS}
NAMES = (
    *(columns.IMAGE, columns.CAPTIONS, columns.LABEL, columns.ID, columns.LANGUAGE, columns.REGIONS),
    *(columns.NEGATIVES, columns.LONG, columns.SYNTHETIC, columns.DEPTH, columns.VIDEO),
)
TAKEN = frozenset(name for names in NAMES for name in names)
"""What other columns must not be called: reading would take them for something else."""


def write_records(records: Iterable[Record], out: Path) -> int:
    """Writes one line a record and returns how many; the file appears when it is whole.

    Pictures that are files stay where they are; paths below the file's own folder are relative to it. Others are
    written into a folder beside it. Raises DataError for another name than of json lines, when there is something in
    the place of either, or when there are no records.
    """
    if out.suffix != ".jsonl":
        raise DataError(f"{out}: json lines are written; choose a name that ends in .jsonl.")
    images, beside, rest = (out.with_name(out.stem + end) for end in ("_images", ".part", ".rest"))
    for path in (out, images):
        if path.exists():
            raise DataError(f"{path} exists already; choose another --out, nothing was changed.")
    out.parent.mkdir(parents=True, exist_ok=True)
    first: dict[str, Any] = {}
    seen: dict[str, Any] = {}
    count = 0
    with rest.open("w", encoding="utf-8") as lines:
        for count, record in enumerate(records, 1):
            row = _row(record, Pictures(out.parent, images, count))
            seen |= {column: [] if isinstance(value, list | dict) else None for column, value in row.items()}
            if count == 1:
                first = row
            else:
                lines.write(_line(row))
    if not count:
        rest.unlink()
        raise DataError(f"no records to write to {out}")
    with beside.open("w", encoding="utf-8") as whole, rest.open(encoding="utf-8") as lines:
        whole.write(_line(seen | first))  # columns are looked for in the first rows
        shutil.copyfileobj(lines, whole)
    rest.unlink()
    beside.rename(out)
    return count


class Pictures:
    """Where the pictures of one record lie, or are put."""

    def __init__(self, folder: Path, images: Path, number: int):
        self.folder, self.images, self.number = folder, images, number

    def place(self, image: ImageLike, name: str = "") -> str:
        """A path as the table says it. What is no file becomes one: encoded bytes as they are, others as PNG."""
        if not isinstance(image, Path):
            image = self._written(image, name)
        path, folder = os.path.abspath(image), os.path.abspath(self.folder)
        return os.path.relpath(path, folder) if os.path.commonpath((path, folder)) == folder else path

    def _written(self, image: ImageLike, name: str) -> Path:
        data, suffix = (image, _suffix(image)) if isinstance(image, bytes) else (_png(image), ".png")
        self.images.mkdir(exist_ok=True)
        path = self.images / f"{self.number:08d}{name}{suffix}"
        path.write_bytes(data)
        return path


def _row(record: Record, pictures: Pictures) -> dict[str, Any]:
    row: dict[str, Any] = {"image": pictures.place(record.image), "negatives": []}
    for column, kind in KINDS.items():
        if some := [c for c in record.captions if c.kind == kind]:
            row[column] = _texts(some)
    if record.id != identity(record.image):
        row["id"] = record.id
    if record.label is not None:
        row["label"] = record.label
    if record.regions:
        row["regions"] = [{"box": list(r.box), "phrase": r.phrase} for r in record.regions]
    if record.depth is not None:
        row["depth"] = pictures.place(record.depth, "-depth")
    if record.video:
        row["video"] = [pictures.place(frame, f"-{i}") for i, frame in enumerate(record.video)]
    return row | _others(record.extra)


def _texts(captions: list[Caption]) -> Any:
    """The texts; by language where each has one."""
    if not all(c.language for c in captions):
        return [c.text for c in captions]
    spoken = dict.fromkeys(c.language for c in captions)
    return {language: [c.text for c in captions if c.language == language] for language in spoken}


def _others(extra: Mapping[str, Any]) -> dict[str, Any]:
    """The further columns that JSON can hold."""
    kept = {}
    for column, value in extra.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError):
            continue
        if column.lower() not in TAKEN:
            kept[column] = value
    return kept


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _suffix(data: bytes) -> str:
    try:
        return "." + str(Image.open(io.BytesIO(data)).format).lower()
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return ".bin"  # whoever reads it will say what is wrong


def _png(image: ImageLike) -> bytes:
    held = io.BytesIO()
    decode(image).save(held, "PNG")
    return held.getvalue()
