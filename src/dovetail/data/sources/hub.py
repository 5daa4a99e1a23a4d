"""Hugging Face `datasets`: hub ids, parquet, saved data sets, and Dataset and IterableDataset objects.

The library is imported when it is first needed: importing it takes longer than reading most tables.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from dovetail.data.records import DataError, Problems
from dovetail.data.sources.columns import Columns
from dovetail.data.sources.rows import Part, Row
from dovetail.data.sources.textfile import absolute

PREFIX = "hf:"


def load(text: str, splits: frozenset[str], streaming: bool) -> Any:
    """The Dataset (streaming: the IterableDataset) that `owner/name` or `owner/name:configuration` is on the hub.

    HF_HUB_OFFLINE=1 keeps to what was downloaded before. Raises DataError when it cannot be had or has several splits.
    """
    import datasets

    name, _, configuration = text.removeprefix(PREFIX).partition(":")
    split = "+".join(sorted(splits)) or None
    try:
        found = datasets.load_dataset(name, configuration or None, split=split, streaming=streaming)
    except Exception as error:  # the library raises a dozen kinds, of several libraries, for the same few mishaps
        raise DataError(
            f"{text}: no file or folder of that name is here, and the Hugging Face hub did not give such a data set "
            f"({type(error).__name__}: {_first_line(error)}). "
            "With HF_HUB_OFFLINE=1 only what was downloaded before is found."
        ) from error
    return one_split(found, text)


def one_split(found: Any, name: str) -> Any:
    """The only split of a DatasetDict; a Dataset as it is. Raises DataError, naming them, when there are several."""
    if not isinstance(found, Mapping):
        return found
    if len(found) != 1:
        raise DataError(f"{name} holds the splits {', '.join(found)}. Choose one: {name}#{next(iter(found), '')}")
    return next(iter(found.values()))


def _check_parquet(paths: Sequence[Path]) -> None:
    """Raises DataError for the file that is no parquet, and when all of them are empty."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    rows = 0
    for path in paths:
        try:
            rows += ParquetFile(path).metadata.num_rows
        except (OSError, pyarrow.ArrowException) as error:
            raise DataError(f"{path}: cannot be read as parquet: {_first_line(error)}.") from error
    if not rows:
        raise DataError(f"{paths[0]}: there is no data in it.")


def parquet(paths: list[Path], columns: Columns) -> list[Part]:
    """One part of all the files together. Raises DataError when they cannot be read as parquet."""
    import datasets

    _check_parquet(paths)
    try:
        found = datasets.Dataset.from_parquet([str(p) for p in paths])
    except Exception as error:
        raise DataError(f"{paths[0]}: cannot be read as parquet: {_first_line(error)}.") from error
    folder = absolute(columns.folder, paths[0])
    return [replace(part, space=str(folder)) for part in table_parts(found, _called(paths), folder)]


def parquet_units(paths: list[Path], columns: Columns) -> list[Part]:
    """One part a row group, or a file where the library cannot tell. Raises DataError when they cannot be read."""
    import datasets

    _check_parquet(paths)
    try:
        found = datasets.load_dataset("parquet", data_files=[str(p) for p in paths], split="train", streaming=True)
        found = found.reshard() if hasattr(found, "reshard") else found  # newer releases only
    except Exception as error:
        raise DataError(f"{paths[0]}: cannot be read as parquet: {_first_line(error)}.") from error
    folder = absolute(columns.folder, paths[0])
    return [replace(part, space=str(folder)) for part in stream_parts(found, _called(paths), folder)]


def saved(paths: list[Path], columns: Columns) -> list[Part]:
    """One part a folder that `Dataset.save_to_disk` wrote. Raises DataError when it cannot be read."""
    import datasets

    try:
        found = [datasets.load_from_disk(str(path)) for path in paths]
    except Exception as error:
        raise DataError(f"{paths[0]}: cannot be read as a saved data set: {_first_line(error)}.") from error
    named = [(one_split(d, str(path)), path) for d, path in zip(found, paths, strict=True)]
    return [part for d, path in named for part in table_parts(d, path.name, absolute(columns.folder, path))]


def table_parts(dataset: Any, name: str, folder: Path) -> list[Part]:
    """A Dataset as one part, whose rows are read again when they are needed: its pictures stay on the disk."""
    plain = _undecoded(dataset.with_format(None))
    return [Part(name, "row", folder, partial(_rows, plain), again=_Again(plain), space=name)]


def stream_parts(dataset: Any, name: str, folder: Path) -> list[Part]:
    """An IterableDataset as one part a shard."""
    plain = _undecoded(dataset.with_format(None))
    count = plain.num_shards
    return [
        Part(f"{name} shard {i}", "row", folder, partial(_shard, plain, count, i), space=name) for i in range(count)
    ]


class _Again:
    """Reads columns of a row of a Dataset again."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._views: dict[tuple[str, ...], Any] = {}

    def __call__(self, number: int, columns: tuple[str, ...]) -> Mapping[str, Any]:
        if not columns:
            return {}
        if columns not in self._views:
            self._views[columns] = self._dataset.select_columns(list(columns))
        return _named(self._views[columns][number - 1], self._dataset.features)


def _rows(dataset: Any, problems: Problems) -> Iterator[Row]:
    for number, cells in enumerate(dataset, 1):
        yield Row(number, _named(cells, dataset.features))


def _shard(dataset: Any, count: int, index: int, problems: Problems) -> Iterator[Row]:
    for number, cells in enumerate(dataset.shard(num_shards=count, index=index), 1):
        yield Row(number, {k: _inlined(v) for k, v in _named(cells, dataset.features).items()})


def _undecoded(dataset: Any) -> Any:
    """The same data with pictures (and sounds) as the encoded bytes or paths that they are stored as."""
    for column, feature in (dataset.features or {}).items():
        if getattr(feature, "decode", False) is True:
            dataset = dataset.cast_column(column, replace(feature, decode=False))
    return dataset


def _named(cells: Mapping[str, Any], features: Mapping[str, Any] | None) -> dict[str, Any]:
    """The cells with the names of classes in place of their numbers."""
    named = {k: f for k, f in (features or {}).items() if hasattr(f, "int2str") and isinstance(cells.get(k), int)}
    return {k: named[k].int2str(v) if k in named and v >= 0 else v for k, v in cells.items()}


def _inlined(cell: Any) -> Any:
    """A streamed picture that lies in an archive or on the hub, with its bytes; anything else as it is."""
    path = cell.get("path") if isinstance(cell, Mapping) and not cell.get("bytes") else None
    if not isinstance(path, str) or "://" not in path or path.startswith(("http://", "https://")):
        return cell
    import fsspec  # type: ignore[import-untyped]

    try:
        with fsspec.open(path, "rb") as file:
            return {"bytes": file.read(), "path": path}
    except OSError:  # it is counted as missing, as a path that leads nowhere is
        return cell


def _called(paths: Sequence[Path]) -> str:
    return paths[0].name if len(paths) == 1 else f"{paths[0].name} and {len(paths) - 1} more"


def _first_line(error: Exception) -> str:
    cause = error.__cause__ or error
    return (str(cause).strip() or type(cause).__name__).splitlines()[0].rstrip(".")


def here(columns: Columns) -> Path:
    """Where relative paths start for data that lies in no folder: the one given, or the working folder."""
    return Path(os.path.abspath("." if columns.folder is None else columns.folder))
