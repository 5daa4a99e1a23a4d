"""The table: rows of any format, joined by image and packed tightly, from which records are made when asked for."""

import pickle
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dovetail.contracts import Kind
from dovetail.data.records import Caption, DataError, ImageLike, Problems, Record, Region
from dovetail.data.sources import pictures, sensed
from dovetail.data.sources.columns import Columns, Fields
from dovetail.data.sources.rows import (
    NO_CAPTION,
    Entry,
    Part,
    Row,
    choose,
    entries,
    join,
    no_splits,
    nothing_left,
    rest,
    settle,
    told,
)


class Packed:
    """An append-only list of small values as one run of bytes: a fraction of the memory of so many objects."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._ends = array("q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def append(self, value: Any) -> None:
        self._data += pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        self._ends.append(len(self._data))

    def __getitem__(self, i: int) -> Any:
        return pickle.loads(memoryview(self._data)[self._ends[i] : self._ends[i + 1]])


class RowTable:
    """A Table of the rows of `parts`, one record an image, in order of first appearance."""

    def __init__(self, name: str, parts: Sequence[Part], fields: Fields, draft: "_Draft") -> None:
        self.name = name
        self.problems = draft.problems
        self.fields = fields
        self._parts = parts
        self._packed = draft.packed
        self._ids = draft.ids
        self._rows, self._starts, self._kept = draft.layout()

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, i: int) -> Record:
        if not -len(self) <= i < len(self):
            raise IndexError(f"{self.name} has {len(self)} records; there is no number {i}")
        item = int(self._kept[i])
        rows = self._rows[self._starts[item] : self._starts[item + 1]]
        return join([self._entry(int(row), item, first=k == 0) for k, row in enumerate(rows)])

    def _entry(self, row: int, item: int, first: bool) -> Entry:
        name, at, number, path, captions, label, regions, extra, *senses = self._packed[row]
        image: ImageLike | None = Path(path) if path else None
        seen, frames = (_files(paths) for paths in senses)
        part: Part = self._parts[at]
        if part.again:
            embedded = [c for c, one in ((self.fields.depth, seen), (self.fields.video, frames)) if c and one is None]
            cells = part.again(number, self._wanted((*extra, *embedded), embedded=first and not path))
            extra = rest(cells, self.fields)
            image = pictures.locate(cells[self.fields.image], part.folder) if first and not path else image
            place = part.folder, Problems(), name
            seen = (sensed.depth(cells, self.fields, *place),) if seen is None else seen
            frames = sensed.video(cells, self.fields, *place) if frames is None else frames
        said = tuple(Caption(text, Kind(kind), language) for text, language, kind in captions)
        found = tuple(Region(box, phrase) for box, phrase in regions)
        depth = seen[0] if seen else None
        video = tuple(frame for frame in frames or () if frame is not None)
        return Entry(name, number, image, 0, self._ids[item], said, label, found, extra, depth, video)

    def _wanted(self, columns: tuple[str, ...], embedded: bool) -> tuple[str, ...]:
        return (self.fields.image, *columns) if embedded else columns


@dataclass
class _Draft:
    """A table while it is read."""

    fields: Fields
    problems: Problems = field(default_factory=Problems)
    packed: Packed = field(default_factory=Packed)
    owner: array = field(default_factory=lambda: array("q"))  # the image that each row shows
    index: dict[int, int] = field(default_factory=dict)  # key of an image -> its number
    ids: array = field(default_factory=lambda: array("q"))
    captioned: bytearray = field(default_factory=bytearray)

    def add(self, at: int, part: Part, row: Row, entry: Entry) -> None:
        item = self.index.setdefault(entry.key, len(self.index))
        if item == len(self.ids):
            self.ids.append(entry.id)
            self.captioned.append(not self.fields.telling)
        self.captioned[item] |= told(entry.captions)
        self.owner.append(item)
        used = {self.fields.image, *self.fields.kinds.values(), *self.fields.captions}
        used.update(sensed.used(row.cells, self.fields))
        # of a row that can be read again only the names of the columns left over are kept
        extra = tuple(c for c in row.cells if c not in used) if part.again else entry.extra
        path = str(entry.image) if isinstance(entry.image, Path) else None
        said = [(c.text, c.language, int(c.kind)) for c in entry.captions]
        found = [(r.box, r.phrase) for r in entry.regions]
        seen = _paths(() if entry.depth is None else (entry.depth,)), _paths(entry.video)
        self.packed.append((entry.name, at, entry.number, path, said, entry.label, found, extra, *seen))

    def layout(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows sorted by image, where each image's rows start, and the images to keep; counts the others."""
        owner = np.array(self.owner, dtype=np.int64)
        rows = np.argsort(owner, kind="stable")
        starts = np.searchsorted(owner[rows], np.arange(len(self.ids) + 1))
        captioned = np.array(self.captioned, dtype=bool)
        for item in np.flatnonzero(~captioned):
            self.problems.add(NO_CAPTION, self.packed[int(rows[starts[item]])][0])
        return rows, starts, np.flatnonzero(captioned)


def _paths(images: tuple[ImageLike, ...]) -> tuple[str, ...] | None:
    """Files by name; None for pictures that are no files, and are read again when they are needed."""
    return tuple(map(str, images)) if all(isinstance(image, Path) for image in images) else None


def _files(paths: tuple[str, ...] | None) -> tuple[ImageLike | None, ...] | None:
    return None if paths is None else tuple(map(Path, paths))


def read_table(name: str, parts: Sequence[Part], columns: Columns, splits: frozenset[str] = frozenset()) -> RowTable:
    """Reads all parts. `splits`: only rows whose column `split` holds one of them; empty: there must not be several.

    Raises DataError when a column is missing, a split is missing or not chosen, or nothing usable is left.
    """
    fields, split_column = settle(parts, columns, name)
    if splits and split_column is None:
        raise no_splits(name, splits)
    draft = _Draft(fields)
    seen: set[str] = set()
    for at, part in enumerate(parts):
        chosen = choose(part, split_column, splits, seen) if split_column else part
        for row, entry in entries(chosen, fields, draft.problems):
            draft.add(at, part, row, entry)
    _check_splits(name, splits, seen)
    table = RowTable(name, parts, fields, draft)
    if not len(table):
        raise nothing_left(name, table.problems, columns, parts)
    return table


def _check_splits(name: str, splits: frozenset[str], seen: set[str]) -> None:
    if splits - seen:
        raise DataError(f"{name}: no split {_listed(splits - seen)}. Its column `split` holds: {_listed(seen)}.")
    if not splits and len(seen) > 1:
        some = sorted(seen)
        raise DataError(
            f"{name}: its column `split` holds {_listed(seen)}; choose, so that test data is not trained on: "
            f"{name}#{some[-1]}, or several: {name}#{'+'.join(some)}."
        )


def _listed(names: frozenset[str] | set[str]) -> str:
    some = sorted(names)
    return ", ".join(some[:10]) + (", ..." if len(some) > 10 else "")


class RecordTable:
    """A Table of records that Python code has made."""

    def __init__(self, records: Sequence[Record], name: str = "records") -> None:
        self.name = name
        self.problems = Problems()
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, i: int) -> Record:
        return self._records[i]
