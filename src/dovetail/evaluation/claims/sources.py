"""The data of an experiment, as something that can be described, sent to another process and opened there, once."""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from dovetail.data.holdout import hold_out
from dovetail.data.records import Problems, Record
from dovetail.data.sources import Columns, Stream, Table, open_source
from dovetail.data.worlds import Scenes


@dataclass(frozen=True)
class Files:
    """Files, opened when they are first needed. stamp: sizes and times, by which a change of them is known."""

    spec: str
    columns: Columns = Columns()
    stamp: tuple[int, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, spec: str, columns: Columns = Columns()) -> "Files":  # noqa: B008 (frozen)
        """The files as they are now."""
        path = Path(spec.partition("#")[0])
        seen = path.stat() if path.exists() else None
        return cls(spec, columns, (seen.st_size, seen.st_mtime_ns) if seen else ())

    @property
    def name(self) -> str:
        """Which files, for messages."""
        return self.spec

    @property
    def problems(self) -> Problems:
        """What could not be used when they were opened."""
        return opened(self).problems

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, index: int) -> Record:
        return self._table[index]

    @property
    def _table(self) -> Table:
        source = opened(self)
        assert isinstance(source, Table), f"{self.spec} is a stream, which has no length"
        return source


@dataclass(frozen=True)
class Side:
    """One side of files that were divided by `data.holdout.hold_out`: what is trained on, or what was held out."""

    whole: Files
    held_out: bool


Source = Scenes | Files | Side


@lru_cache(maxsize=4)
def opened(source: Source) -> Table | Stream:
    """The source, ready to be read: scenes are rendered once, not in every epoch.

    Raises DataError for files that cannot be used.
    """
    if isinstance(source, Side):
        return hold_out(source.whole)[source.held_out]
    if isinstance(source, Files):
        return open_source(source.spec, source.columns)
    return open_source([source[i] for i in range(len(source))])


def of_seed(source: Source, seed: int) -> Source:
    """What seed `seed` of an experiment is trained on: scenes of its own, or the same files."""
    return replace(source, seed=seed) if isinstance(source, Scenes) else source
