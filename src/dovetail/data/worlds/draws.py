"""Random numbers that are the same on every machine and in every version."""

from collections.abc import Sequence
from hashlib import blake2b
from struct import unpack
from typing import TypeVar

T = TypeVar("T")


class Draws:
    """A stream of random integers that depends on its key alone: BLAKE2b in counter mode.

    Every purpose has its own key ("facts", "words", ...), so that a new knob in one leaves the others as they were.
    """

    def __init__(self, *key: int | str) -> None:
        self._key = "/".join(map(str, key)).encode()
        self._blocks = 0
        self._words: list[int] = []

    def below(self, n: int) -> int:
        """An integer of 0..n-1 (n at most 2^32); its probabilities are off by less than n / 2^32."""
        if not self._words:
            block = blake2b(self._key + self._blocks.to_bytes(8, "little")).digest()
            self._words = list(unpack("<16I", block))
            self._blocks += 1
        return self._words.pop() * n >> 32

    def between(self, low: int, high: int) -> int:
        """An integer of low..high, both included."""
        return low + self.below(high - low + 1)

    def chance(self, rate: float) -> bool:
        """True at the given rate."""
        return self.below(1 << 32) < rate * 2**32

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.below(len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """All items in a random order."""
        rest = list(items)
        return [rest.pop(self.below(len(rest))) for _ in items]
