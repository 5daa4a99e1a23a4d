"""Holding out a part of a table, so that equal things never lie on both sides."""

from collections.abc import Sequence
from hashlib import blake2b

from dovetail.data.records import DataError, Problems, Record
from dovetail.data.sources import Table

MOST = 2_000  # more images make the figures no more useful than the training data they cost
SHARE = 0.1


class Subset:
    """Some items of a table, in the order given."""

    def __init__(self, whole: Table, items: Sequence[int], name: str) -> None:
        self.name, self.problems = name, Problems()
        self._whole, self._items = whole, items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Record:
        return self._whole[self._items[index]]


def hold_out(table: Table, share: float = SHARE, most: int = MOST) -> tuple[Subset, Subset]:
    """The table in two: what to train on, and about `share` of it, at most `most` records, to measure on.

    A hash of the id decides, so that the same thing lies on one side only, whatever else is in the table.
    Raises DataError when either side would be empty.
    """
    keys = [_key(table[i].id) for i in range(len(table))]
    limit = min(share, most / max(1, len(keys)))
    chosen = [i for i, key in enumerate(keys) if key < limit]
    rest = [i for i, key in enumerate(keys) if key >= limit]
    if not chosen or not rest:
        raise DataError(
            f"{table.name}: {len(keys)} records are too few to hold some out; name data to measure on with --val"
        )
    return Subset(table, rest, f"{table.name} (but those held out)"), Subset(table, chosen, f"{table.name} (held out)")


def _key(identity: int) -> float:
    """A number of 0..1 that depends on the id alone."""
    return int.from_bytes(blake2b(str(identity).encode(), digest_size=6).digest(), "big") / 2**48
