"""The two kinds of source: a table that can be indexed, and a stream that is read shard by shard."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from dovetail.data.records import Problems, Record


@runtime_checkable
class Table(Protocol):
    """A source that is held in memory (its pictures need not be): it has a length and can be indexed.

    `name` is for messages; `problems` counts what could not be used when it was opened.
    """

    @property
    def name(self) -> str: ...

    @property
    def problems(self) -> Problems: ...

    def __len__(self) -> int: ...

    def __getitem__(self, i: int) -> Record: ...


@runtime_checkable
class Stream(Protocol):
    """A source that does not fit in memory: independent units (shards), each of which is read from its start.

    The names of the units are the same whenever the same data is opened, so that a position can be saved as
    (unit, records read). Reading a unit to its end adds what it could not use to `problems`, the first time only.
    """

    @property
    def name(self) -> str: ...

    @property
    def problems(self) -> Problems: ...

    def units(self) -> list[str]: ...

    def read(self, unit: str) -> Iterator[Record]: ...


Source = Table | Stream
