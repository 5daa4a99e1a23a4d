"""Lists from Python: of mappings, one a row, or of records that are ready."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from dovetail.data.records import DataError, Problems, Record
from dovetail.data.sources.columns import Columns
from dovetail.data.sources.hub import here
from dovetail.data.sources.rows import Part, Row
from dovetail.data.sources.table import RecordTable, RowTable, read_table


def table(items: Sequence[Any], columns: Columns) -> RowTable | RecordTable:
    """A Table of the items. Raises DataError when there are none, or of another kind."""
    if not items:
        raise DataError("the list of items is empty: there is no data in it.")
    if all(isinstance(item, Record) for item in items):
        return RecordTable(items)
    if not any(isinstance(item, Mapping) for item in items):
        raise DataError(f"expected a list of mappings or of Records, not of {type(items[0]).__name__}.")
    part = Part("list", "item", here(columns), partial(_rows, items), again=partial(_again, items))
    return read_table("list", [part], columns)


def _rows(items: Sequence[Any], problems: Problems) -> Iterator[Row]:
    for number, item in enumerate(items, 1):
        if isinstance(item, Mapping):
            yield Row(number, item)
        else:
            problems.add("item is not a mapping", f"list item {number}")


def _again(items: Sequence[Any], number: int, columns: tuple[str, ...]) -> Mapping[str, Any]:
    return {c: items[number - 1][c] for c in columns}
