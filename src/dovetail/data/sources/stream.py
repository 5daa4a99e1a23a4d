"""The stream: parts of any format, read one after another, never held."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from dovetail.data.records import DataError, Problems, Record
from dovetail.data.sources.columns import Columns, Fields
from dovetail.data.sources.rows import NO_CAPTION, Part, choose, entries, join, no_splits, nothing_left, settle, told

LOOK = 50  # rows from which the columns are guessed: samples of shards carry their pictures


class RowStream:
    """A Stream with one unit a part. Rows of one image are joined only where they follow each other."""

    def __init__(self, name: str, parts: Sequence[Part], fields: Fields) -> None:
        self.name = name
        self.problems = Problems()
        self.fields = fields
        self._parts = {f"{i:05d} {part.name}": part for i, part in enumerate(parts)}
        self._counted: set[str] = set()

    def units(self) -> list[str]:
        """The names of the parts, numbered in order."""
        return list(self._parts)

    def read(self, unit: str) -> Iterator[Record]:
        """The records of one unit, in order."""
        tally = Problems()
        found = (entry for _, entry in entries(self._parts[unit], self.fields, tally))
        for _, same in groupby(found, key=lambda entry: entry.key):
            record = join(list(same))
            if told(record.captions) or not self.fields.telling:
                yield record
            else:
                tally.add(NO_CAPTION, record.name)
        if unit not in self._counted:
            self._counted.add(unit)
            self.problems.merge(tally)


def read_stream(name: str, parts: Sequence[Part], columns: Columns, splits: frozenset[str] = frozenset()) -> RowStream:
    """Opens the parts and reads as far as the first usable record. `splits`: as for a table; none: all rows.

    Raises DataError when a column is missing or no part holds anything usable.
    """
    readable = _first_with_rows(parts)
    if not readable:
        raise _broken(name, parts)
    fields, split_column = settle(readable, columns, name, look=LOOK)
    if splits and split_column is None:
        raise no_splits(name, splits)
    if splits and split_column:
        parts = [choose(part, split_column, splits, set()) for part in parts]
    stream = RowStream(name, parts, fields)
    if any(True for unit in stream.units() for _ in stream.read(unit)):
        return stream
    raise nothing_left(name, stream.problems, columns, parts)


def _first_with_rows(parts: Sequence[Part]) -> Sequence[Part]:
    """The parts from the first that has any rows: the shard in front may be the broken one."""
    starts = (i for i, part in enumerate(parts) if any(True for _ in part.rows(Problems())))
    return parts[next(starts, len(parts)) :]


def _broken(name: str, parts: Sequence[Part]) -> DataError:
    tally = Problems()
    for part in parts:
        for _ in part.rows(tally):
            pass
    return nothing_left(name, tally, Columns())
