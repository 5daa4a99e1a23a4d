"""Words written along the bottom of a scene, in capitals of our own: five cells wide, seven high."""

from functools import cache

import numpy as np
from jaxtyping import Float32, Int32

from dovetail.data.records import DataError
from dovetail.data.worlds.facts import UNIT

WORDS_WRITTEN = (
    "stop", "open", "sale", "hello", "exit", "taxi", "cafe", "bread", "milk", "fish", "music", "north",
    "south", "park", "hotel", "bank", "zoo", "quiet", "fresh", "jump", "love", "wave", "ticket", "oxygen",
)  # fmt: skip
STRIP = 180
"""Height of the strip that a written word needs, in the scene's unit; no thing reaches into it."""
CELL = 18
TOP = UNIT - STRIP + 36  # of the letters: things in relief hang over the strip when they are seen from above
_MOST = (UNIT // CELL + 1) // 6

_CAPITALS = (
    """\
.###. ####. .###. ####. ##### ##### .###. #...# .###. ..### #...# #.... #...#
#...# #...# #...# #...# #.... #.... #...# #...# ..#.. ...#. #..#. #.... ##.##
#...# #...# #.... #...# #.... #.... #.... #...# ..#.. ...#. #.#.. #.... #.#.#
##### ####. #.... #...# ####. ####. #.### ##### ..#.. ...#. ##... #.... #.#.#
#...# #...# #.... #...# #.... #.... #...# #...# ..#.. ...#. #.#.. #.... #...#
#...# #...# #...# #...# #.... #.... #...# #...# ..#.. #..#. #..#. #.... #...#
#...# ####. .###. ####. ##### #.... .###. #...# .###. .##.. #...# ##### #...#""",
    """\
#...# .###. ####. .###. ####. .#### ##### #...# #...# #...# #...# #...# #####
##..# #...# #...# #...# #...# #.... ..#.. #...# #...# #...# #...# #...# ....#
##..# #...# #...# #...# #...# #.... ..#.. #...# #...# #...# .#.#. .#.#. ...#.
#.#.# #...# ####. #...# ####. .###. ..#.. #...# #...# #.#.# ..#.. ..#.. ..#..
#..## #...# #.... #.#.# #.#.. ....# ..#.. #...# #...# #.#.# .#.#. ..#.. .#...
#..## #...# #.... #..#. #..#. ....# ..#.. #...# .#.#. ##.## #...# ..#.. #....
#...# .###. #.... .##.# #...# ####. ..#.. .###. ..#.. #...# #...# ..#.. #####""",
)
_ROWS = [left + " " + right for left, right in zip(*(block.split("\n") for block in _CAPITALS), strict=True)]


def ground(writing: str | None) -> int:
    """How far down things may lie in a scene with this writing."""
    return UNIT if writing is None else UNIT - STRIP


def glyphs(word: str) -> Int32[np.ndarray, "7 cells"]:
    """The word's letters as cells, 1 where there is ink; one empty column between letters. Raises DataError."""
    starts = [6 * (ord(letter) - ord("A")) for letter in word.upper()]
    if not 1 <= len(word) <= _MOST or not all(0 <= start < 6 * 26 for start in starts):
        raise DataError(f"cannot write {word!r}; expected 1 to {_MOST} letters from a to z")
    rows = [".".join(row[start : start + 5] for start in starts) for row in _ROWS]
    return np.array([[cell == "#" for cell in row] for row in rows], np.int32)


def ink(
    word: str, x: Float32[np.ndarray, "..."], y: Float32[np.ndarray, "..."], width: float
) -> Float32[np.ndarray, "..."]:
    """How much (0..1) of the square of `width` around each point the word covers; all in the scene's unit."""
    sums = _sums(word)
    half, left = width / (2 * CELL), (UNIT - (sums.shape[1] - 1) * CELL) / 2
    x, y = (x - np.float32(left)) / np.float32(CELL), (y - np.float32(TOP)) / np.float32(CELL)
    sides = [(_split(y + side * half, 7), side) for side in (-1, 1)]
    total = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.float32)
    for across in (-1, 1):
        column = _split(x + across * half, sums.shape[1] - 1)
        for row, down in sides:
            total += across * down * _between(sums, row, column)
    return total / np.float32(4 * half * half)


@cache
def _sums(word: str) -> Float32[np.ndarray, "8 ends"]:
    """Ink above and to the left of each corner of a cell."""
    return np.pad(glyphs(word), ((1, 0), (1, 0))).cumsum(0).cumsum(1).astype(np.float32)


def _split(position: np.ndarray, end: int) -> tuple[np.ndarray, np.ndarray]:
    """A position in cells as the corner before it (int) and the rest (0..1)."""
    position = np.minimum(np.maximum(position, 0), end).astype(np.float32)
    corner = np.minimum(position.astype(np.int32), end - 1)
    return corner, position - corner.astype(np.float32)


def _between(sums: np.ndarray, row: tuple[np.ndarray, np.ndarray], column: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """`sums` between its corners: the integral of cells of constant ink is bilinear."""
    (i, down), (j, across) = row, column
    upper = sums[i, j] + (sums[i, j + 1] - sums[i, j]) * across
    lower = sums[i + 1, j] + (sums[i + 1, j + 1] - sums[i + 1, j]) * across
    return upper + (lower - upper) * down
