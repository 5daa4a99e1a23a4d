"""The one door: opens whatever a spec names."""

import json
import os
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dovetail.data.records import DataError
from dovetail.data.sources import delimited, folder, hub, jsonfile, jsonlines, lists, shards
from dovetail.data.sources.columns import GUESS, Columns
from dovetail.data.sources.kinds import Source, Stream, Table
from dovetail.data.sources.rows import Part
from dovetail.data.sources.spec import place, split_of
from dovetail.data.sources.stream import read_stream
from dovetail.data.sources.table import read_table
from dovetail.data.sources.textfile import open_bytes

Parts = Callable[[list[Path], Columns], list[Part]]


@dataclass(frozen=True)
class Reader:
    """A format family: how it is read as a table and how as a stream (None: it cannot be), and its name in messages."""

    called: str
    table: Parts | None
    stream: Parts | None


CSV = Reader("csv", delimited.parts, delimited.parts)
JSON = Reader("json", jsonfile.parts, None)
JSONL = Reader("jsonl", jsonlines.parts, jsonlines.units)
PARQUET = Reader("parquet", hub.parquet, hub.parquet_units)
TAR = Reader("tar shards", None, shards.units)
FOLDER = Reader("image folder", folder.parts, None)
SAVED = Reader("saved data set", hub.saved, None)

BY_SUFFIX = {
    ".csv": CSV,
    ".tsv": CSV,
    ".json": JSON,
    ".jsonl": JSONL,
    ".ndjson": JSONL,
    ".parquet": PARQUET,
    ".tar": TAR,
    ".tgz": TAR,
}
"""The reader by the end of a file's name, before a .gz."""


def _is_line(head: bytes) -> bool:
    try:
        return isinstance(json.loads(head.partition(b"\n")[0]), dict)
    except ValueError:
        return False


BY_CONTENT: tuple[tuple[Callable[[bytes], bool], Reader], ...] = (
    (lambda head: head.startswith(b"PAR1"), PARQUET),
    (lambda head: head[257:262] == b"ustar", TAR),
    (_is_line, JSONL),
    (lambda head: head.lstrip().startswith((b"[", b"{")), JSON),
    (lambda head: any(s.encode() in head.partition(b"\n")[0] for s in delimited.SEPARATORS) and b"\0" not in head, CSV),
)
"""The reader by the first bytes of a file whose name says nothing."""


def reader_of(path: Path) -> Reader:
    """The reader for what lies at the path. Raises DataError for what none of them reads."""
    if path.is_dir():
        return SAVED if (path / "dataset_info.json").is_file() and (path / "state.json").is_file() else FOLDER
    with open_bytes(path) as file:
        try:
            head = file.read(4096)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: cannot be read: {error}.") from error
    named = BY_SUFFIX.get(Path(path.name.removesuffix(".gz")).suffix.lower())
    found = named or next((reader for fits, reader in BY_CONTENT if fits(head)), None)
    if found is None:
        known = ", ".join([*BY_SUFFIX, "a folder of images"])
        raise DataError(f"{path}: neither its name nor its content is of a kind that is read here ({known}).")
    return found


def open_source(spec: Any, columns: Columns = GUESS) -> Source:
    """Opens data as a Table, or as a Stream where it is one (tar shards, an IterableDataset).

    spec: a path, patterns and `a::b`, with `#split` where a column `split` chooses rows; a hub id `owner/name#split`;
    a list of mappings or of Records; a `datasets.Dataset` or `IterableDataset`; a Table or Stream (handed back).
    Raises DataError for what is missing or unreadable, for a wrong column, and when nothing usable is in it.
    """
    for fits, opened in OPEN:
        if fits(spec):
            return opened(spec, columns)
    raise DataError(
        f"a {type(spec).__name__} is no data: expected a path, a hub id, a list of mappings or of Records, "
        "or a datasets.Dataset."
    )


def stream_source(spec: Any, columns: Columns = GUESS) -> Stream:
    """Opens data that does not fit in memory as a Stream: tar shards, jsonl, csv, parquet, a hub id, a data set.

    Rows of one image are joined only where they follow each other. Raises DataError as open_source does, and for what
    cannot be read in pieces.
    """
    for fits, opened in STREAM:
        if fits(spec):
            return opened(spec, columns)
    raise DataError(f"a {type(spec).__name__} cannot be streamed; open it with open_source.")


def _open_place(spec: str | os.PathLike[str], columns: Columns) -> Source:
    text = os.fspath(spec)
    if _is_hub(text):
        name, splits = split_of(text)
        return _open_dataset(hub.load(name, splits, streaming=False), columns, name)
    found = place(text)
    reader = _one_reader(found.paths, text)
    if reader.table is None:
        return _stream_place(spec, columns)
    return read_table(text, reader.table(list(found.paths), columns), columns, found.splits)


def _stream_place(spec: str | os.PathLike[str], columns: Columns) -> Stream:
    text = os.fspath(spec)
    if _is_hub(text):
        name, splits = split_of(text)
        return _stream_iterable(hub.load(name, splits, streaming=True), columns, name)
    found = place(text)
    reader = _one_reader(found.paths, text)
    if reader.stream is None:
        streamed = ", ".join(dict.fromkeys(r.called for r in BY_SUFFIX.values() if r.stream))
        raise DataError(f"{text}: {reader.called} cannot be streamed; {streamed} can.")
    return read_stream(text, reader.stream(list(found.paths), columns), columns, found.splits)


def _one_reader(paths: Sequence[Path], text: str) -> Reader:
    readers = {reader_of(path): path for path in paths}
    if len(readers) > 1:
        mixed = ", ".join(f"{path.name} ({reader.called})" for reader, path in readers.items())
        raise DataError(f"{text} mixes formats: {mixed}. Open each as a source of its own.")
    return next(iter(readers))


def _is_hub(text: str) -> bool:
    """Whether a text can only be a hub id: it says so, or is of the form owner/name and nothing here looks like it."""
    if text.startswith(hub.PREFIX):
        return True
    owner, _, name = split_of(text)[0].partition("/")
    form = re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*(:[\w.-]+)?", f"{owner}/{name}")
    known = Path(name.removesuffix(".gz")).suffix.lower() in BY_SUFFIX
    return bool(form) and not known and not os.path.exists(text) and not os.path.isdir(owner)


def _open_dataset(dataset: Any, columns: Columns, name: str = "dataset") -> Source:
    return read_table(name, hub.table_parts(dataset, name, hub.here(columns)), columns)


def _stream_iterable(dataset: Any, columns: Columns, name: str = "dataset") -> Stream:
    return read_stream(name, hub.stream_parts(dataset, name, hub.here(columns)), columns)


def _refuse_splits(found: Mapping[str, Any], columns: Columns) -> Source:
    return open_source(hub.one_split(found, "the DatasetDict"), columns)


def _of_datasets(*names: str) -> Callable[[Any], bool]:
    """Whether an object is of one of the library's classes, without importing the library to ask."""

    def fits(spec: Any) -> bool:
        return any(c.__name__ in names and c.__module__.startswith("datasets.") for c in type(spec).__mro__)

    return fits


def _is_place(spec: Any) -> bool:
    return isinstance(spec, str | os.PathLike)


_DATASET, _ITERABLE = _of_datasets("Dataset"), _of_datasets("IterableDataset")
OPEN: tuple[tuple[Callable[[Any], bool], Callable[[Any, Columns], Source]], ...] = (
    (_is_place, _open_place),
    (_DATASET, _open_dataset),
    (_ITERABLE, _stream_iterable),
    (_of_datasets("DatasetDict", "IterableDatasetDict"), _refuse_splits),
    (lambda spec: isinstance(spec, Table | Stream), lambda spec, columns: spec),
    (lambda spec: isinstance(spec, Sequence), lists.table),
)
STREAM: tuple[tuple[Callable[[Any], bool], Callable[[Any, Columns], Stream]], ...] = (
    (_is_place, _stream_place),
    (_DATASET, lambda spec, columns: _stream_iterable(spec.to_iterable_dataset(), columns)),
    (_ITERABLE, _stream_iterable),
    (lambda spec: isinstance(spec, Stream), lambda spec, columns: spec),
)
