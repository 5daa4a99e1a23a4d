"""How a score matrix is cut into tiles."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from dovetail.ops.sides import Side


@dataclass(frozen=True)
class Tile:
    """Some rows and some columns: where they lie among the rows, the columns of their process, the columns of all."""

    rows: Side
    cols: Side
    row: slice
    within: slice
    col: slice

    @property
    def key(self) -> tuple[int, int]:
        """Where it begins; no other tile of the matrix begins there."""
        return self.row.start, self.col.start


def tiles(rows: Side, cols: Side, offset: int, most: int) -> Iterator[Tile]:
    """Tiles of at most `most` entries (one at least) over all rows and columns; `offset` columns come before these."""
    n, m = len(rows.ids), len(cols.ids)
    height, width = shape(n, m, most)
    for i, j in ((i, j) for i in range(0, n, height) for j in range(0, m, width)):
        below, right = min(i + height, n), min(j + width, m)
        there = slice(offset + j, offset + right)
        yield Tile(rows.part(i, below), cols.part(j, right), slice(i, below), slice(j, right), there)


def shape(n: int, m: int, most: int) -> tuple[int, int]:
    """Height and width of tiles of at most `most` entries that cover n x m: near to squares, and all alike."""
    width = _even(m, math.isqrt(most))
    height = _even(n, most // width)
    return height, _even(m, most // height)


def _even(n: int, most: int) -> int:
    """The longest of as few parts of n as have at most `most` each; 1 when there is nothing to divide."""
    return math.ceil(n / math.ceil(n / most)) if n else 1


def numbers(rows: Side, cols: Side) -> int:
    """The numbers that a pair may take: with tokens, one for each token of the row and each of the column."""
    a, b = rows.features.tokens, cols.features.tokens
    return 1 if a is None or b is None else max(1, a.shape[1] * b.shape[1])
