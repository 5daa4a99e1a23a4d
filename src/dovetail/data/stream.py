"""Which records come in which order: the plan of a training run, and the one pass of an evaluation.

A plan depends on its sources, their weights, the batch size and the seed, and on nothing else: not on the number of
workers or processes, nor on where a run was interrupted.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import count, islice
from typing import Protocol

import numpy as np

from dovetail.data.collate import Draw
from dovetail.data.records import DataError, Record
from dovetail.data.sources import Stream, Table


class Plan:
    """The global batches of a training run, without end.

    Each source has epochs of its own, and every record comes exactly once in each. A batch that begins in one epoch
    is filled from the next: all batches are full, and none is dropped. Near the border of two epochs no record of a
    table comes twice within `batch` draws, if the table has at least 3 * batch records.

    sources: tables (a fresh permutation every epoch) and streams (shards in a fresh order every epoch, then a
        shuffle buffer of `buffer` records, which is emptied at the end of the epoch).
    weights: how often each source is drawn, relative to the others. None: tables by their lengths, as if they were
        one; with a stream among them, whose length is unknown, all equally often.
    Raises DataError for a table without records and for weights that do not fit the sources.
    """

    batch: int  # draws in a global batch: as asked for, or all records where there are fewer
    epoch_length: int | None  # records of all sources together; None when a stream is among them
    warnings: tuple[str, ...]  # sentences that a person should see before training starts

    def __init__(
        self,
        sources: Sequence[Table | Stream],
        batch: int,
        seed: int = 0,
        weights: Sequence[float | int] | None = None,
        buffer: int = 2000,
    ) -> None:
        if batch < 1 or buffer < 1:
            raise ValueError(f"batch ({batch}) and buffer ({buffer}) must be at least 1")
        self._sources, self._seed, self._buffer = tuple(sources), seed, buffer
        lengths = _lengths(self._sources)
        known = [n for n in lengths if n is not None]
        self.epoch_length = sum(known) if len(known) == len(lengths) else None
        self._shares = _shares(_weights(self._sources, lengths, weights))
        self.batch = min(batch, self.epoch_length or batch)
        self.warnings = tuple(self._remarks(batch, weights))

    @property
    def batches_per_epoch(self) -> int | None:
        """Batches that `epoch_length` draws take, the last of which may reach into the next epoch; None for streams."""
        return None if self.epoch_length is None else math.ceil(self.epoch_length / self.batch)

    def batches(self, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[list[Draw]]:
        """What process `rank` of `world` gets of every global batch from number `start` on: its draws [rank::world].

        Going on from `start` costs nothing with tables; a stream is read again, undecoded, up to that place (whole
        epochs but the first are skipped).
        Raises DataError when the batch cannot be divided equally and, while iterating, for an empty stream.
        """
        if self.batch % world:
            raise DataError(
                f"a batch of {self.batch} cannot be divided equally among {world} processes;"
                f" choose a multiple of {world}"
            )
        keys = [_hash(self._seed, place) for place in range(len(self._sources))]
        feeds = [self._feed(*one) for one in zip(self._sources, keys, strict=True)]
        return (self._part(number, feeds, rank, world) for number in count(start))

    def __iter__(self) -> Iterator[list[Draw]]:
        return self.batches()

    def _feed(self, source: Table | Stream, key: int) -> "_Feed":
        if isinstance(source, Stream):
            return _StreamFeed(source, key, self._buffer)
        return _TableFeed(source, key, apart=self.batch)

    def _part(self, number: int, feeds: Sequence["_Feed"], rank: int, world: int) -> list[Draw]:
        """One process's share of global batch `number`."""
        before, after = (_counts(self._shares, n * self.batch) for n in (number, number + 1))
        source_of = np.repeat(np.arange(len(feeds)), [b - a for a, b in zip(before, after, strict=True)])
        if len(feeds) > 1:  # so that every process gets a mixture
            source_of = source_of[_permutation(_hash(self._seed, "mix", number), len(source_of))]
        drawn: dict[int, Draw] = {}
        for i, (feed, first) in enumerate(zip(feeds, before, strict=True)):
            places = np.flatnonzero(source_of == i)
            mine = places % world == rank
            wanted = first + np.flatnonzero(mine)
            drawn.update(zip(places[mine].tolist(), feed.take(wanted.tolist()), strict=True))
        return [drawn[place] for place in sorted(drawn)]

    def _remarks(self, asked: int, weights: Sequence[float | int] | None) -> Iterator[str]:
        if self.batch < asked:
            names = ", ".join(s.name for s in self._sources)
            yield f"{names}: {self.batch} records are fewer than a batch of {asked}; the batch is {self.batch}."
        if weights is None and len(self._sources) > 1 and self.epoch_length is None:
            yield "A stream's length is unknown, so all sources are drawn equally often; give weights to change that."


def in_order(source: Table | Stream, batch: int) -> Iterator[list[Draw]]:
    """Every record once, in the source's order, for evaluation (seed None). The last batch may be shorter.

    Raises DataError when there is no record at all.
    """
    records = iter(_all(source))
    drawn = [Draw(record, None) for record in islice(records, batch)]
    if not drawn:
        raise _empty(source)
    while drawn:
        yield drawn
        drawn = [Draw(record, None) for record in islice(records, batch)]


class _Feed(Protocol):
    """One source's endless sequence of draws."""

    def take(self, positions: Sequence[int]) -> list[Draw]:
        """The draws at these places of the sequence: increasing, and beyond all that were taken before."""


class _TableFeed:
    """Place n of the sequence is item n mod length of the permutation of epoch n // length."""

    def __init__(self, table: Table, key: int, apart: int) -> None:
        self._table, self._key = table, key
        self._apart = min(apart, len(table) // 3)
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def take(self, positions: Sequence[int]) -> list[Draw]:
        return [self._draw(*divmod(n, len(self._table))) for n in positions]

    def _draw(self, epoch: int, place: int) -> Draw:
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._ordered(epoch)
        return Draw(self._table[int(self._order[place])], _hash(self._key, epoch, place))

    def _ordered(self, epoch: int) -> np.ndarray:
        """The epoch's permutation, in which what closed the epoch before does not come soon again: from the first
        `apart` places it is swapped into the next. The end stays as drawn: an epoch depends on one other only."""
        order, near = self._drawn(epoch), self._apart
        if epoch == 0 or near == 0:
            return order
        recent = np.isin(order[: 2 * near], self._drawn(epoch - 1)[-near:])
        clash = np.flatnonzero(recent[:near])
        spare = near + np.flatnonzero(~recent[near:])[: len(clash)]  # there are enough: at most `near` are recent
        order[clash], order[spare] = order[spare], order[clash]
        return order

    def _drawn(self, epoch: int) -> np.ndarray:
        return _permutation(_hash(self._key, epoch), len(self._table))


class _StreamFeed:
    """The stream's records through a shuffle buffer, one epoch after the other."""

    def __init__(self, stream: Stream, key: int, buffer: int) -> None:
        self._stream, self._key, self._buffer = stream, key, buffer
        self._open(epoch=0, first=0)

    def take(self, positions: Sequence[int]) -> list[Draw]:
        return [self._draw(n) for n in positions]

    def _open(self, epoch: int, first: int) -> None:
        """Begins an epoch whose first record has place `first` of the sequence."""
        self._epoch, self._first, self._seen, self._records = epoch, first, 0, self._shuffled(epoch)

    def _draw(self, n: int) -> Draw:
        while True:
            for record in self._records:
                self._seen += 1
                if self._first + self._seen > n:
                    return Draw(record, _hash(self._key, self._epoch, self._seen - 1))
            if not self._seen:
                raise _empty(self._stream)
            passed = (n - self._first) // self._seen  # all epochs are equally long: a resumed run jumps over them
            self._open(self._epoch + passed, self._first + passed * self._seen)

    def _shuffled(self, epoch: int) -> Iterator[Record]:
        random = _random(_hash(self._key, epoch))
        units = self._stream.units()
        held: list[Record] = []
        for unit in random.permutation(len(units)):
            for record in self._stream.read(units[unit]):
                if len(held) < self._buffer:
                    held.append(record)
                    continue
                place = random.randint(len(held))
                yield held[place]
                held[place] = record
        for place in random.permutation(len(held)):
            yield held[place]


def _all(source: Table | Stream) -> Iterator[Record]:
    if isinstance(source, Stream):
        return (record for unit in source.units() for record in source.read(unit))
    return (source[i] for i in range(len(source)))


def _lengths(sources: Sequence[Table | Stream]) -> list[int | None]:
    """The tables' lengths, None for a stream. Raises DataError for an empty table and when there is no source."""
    if not sources:
        raise DataError("there is no data source; give at least one")
    lengths = [None if isinstance(s, Stream) else len(s) for s in sources]
    for source, length in zip(sources, lengths, strict=True):
        if length == 0:
            raise _empty(source)
    return lengths


def _weights(
    sources: Sequence[Table | Stream], lengths: Sequence[int | None], given: Sequence[float | int] | None
) -> list[Fraction]:
    if given is None:
        return [Fraction(1 if None in lengths else n or 0) for n in lengths]
    names = ", ".join(s.name for s in sources)
    if len(given) != len(sources):
        raise DataError(f"{len(given)} weights for {len(sources)} sources ({names}); give one weight for each")
    if not all(math.isfinite(w) and w > 0 for w in given):
        raise DataError(f"the weights {list(given)} of {names} must be positive; leave a source out instead of 0")
    return [Fraction(w) for w in given]


def _shares(weights: Sequence[Fraction]) -> list[Fraction]:
    """Of the draws that the sources before it leave, the part that each source gets; the last one gets all."""
    return [w / sum(weights[i:]) for i, w in enumerate(weights)]


def _counts(shares: Sequence[Fraction], draws: int) -> list[int]:
    """How many of the first `draws` draws fall on each source: exact, never falling as `draws` grows, and less than
    one per source away from its share."""
    counts = []
    for share in shares:
        counts.append(math.floor(draws * share))
        draws -= counts[-1]
    return counts


def _hash(*parts: int | str) -> int:
    """63 bits that depend on the parts only: the same on every machine and version."""
    text = " ".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def _random(key: int) -> np.random.RandomState:
    # RandomState, not Generator: its sequences are promised never to change, so a run resumes after an upgrade too
    return np.random.RandomState(key % 2**32)


def _permutation(key: int, length: int) -> np.ndarray:
    return _random(key).permutation(length)


def _empty(source: Table | Stream) -> DataError:
    causes = "".join(f"; {line}" for line in source.problems.lines())
    return DataError(f"{source.name}: no usable record{causes or '; the data is empty'}")
