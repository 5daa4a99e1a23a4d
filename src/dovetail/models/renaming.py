"""Weights under other names: one table of prefixes, read both ways."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

Pairs = tuple[tuple[str, str], ...]
_PIECE = re.compile(r"(.+)\[(\d)\]\.(\w+)")


@dataclass(frozen=True)
class Renaming:
    """Pairs of names, (theirs, ours).

    A name that ends in `.` or `_` stands for all that begin so; `{}` for a number that is the same on both sides. Ours
    with `[0]`, `[1]`, ... (`qkv[1].`) are pieces: theirs keeps them apart, ours has them one below the other.
    """

    pairs: Pairs

    def ours(self, state: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
        """The tensors under our names. Raises ValueError, with what `source` is, for a tensor that no pair names."""
        return _joined({_named(name, self._to_ours, source): value for name, value in state.items()})

    def theirs(self, state: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
        """The tensors under their names. Raises ValueError, with what `source` is, for a tensor that no pair names."""
        split = _split(state, self._pieces)
        return {_named(name, self._to_theirs, source): value for name, value in split.items()}

    @cached_property
    def _to_ours(self) -> list[tuple[re.Pattern[str], str]]:
        return [(_pattern(theirs), _replacement(ours)) for theirs, ours in self.pairs]

    @cached_property
    def _to_theirs(self) -> list[tuple[re.Pattern[str], str]]:
        return [(_pattern(ours), _replacement(theirs)) for theirs, ours in self.pairs]

    @cached_property
    def _pieces(self) -> list[tuple[re.Pattern[str], int]]:
        """Of which of our tensors they have how many pieces."""
        counts: dict[str, int] = {}
        for _, ours in self.pairs:
            whole, bracket, _ = ours.partition("[")
            if bracket:
                counts[whole] = counts.get(whole, 0) + 1
        return [(re.compile(_escaped(whole) + r"\.\w+"), count) for whole, count in counts.items()]


def under(theirs: str, ours: str, pairs: Mapping[str, str]) -> Pairs:
    """The pairs with these beginnings before them."""
    return tuple((theirs + old, ours + new) for old, new in pairs.items())


def _escaped(name: str) -> str:
    return re.escape(name).replace(r"\{\}", r"(\d+)")


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(_escaped(name) + (r"(\w+)" if name[-1] in "._" else ""))


def _replacement(name: str) -> str:
    """What `Match.expand` makes of a name: its numbers and what follows it are the groups."""
    parts = name.split("{}")
    filled = "".join(rf"{part}\g<{i}>" for i, part in enumerate(parts[:-1], 1)) + parts[-1]
    return filled + rf"\g<{len(parts)}>" if name[-1] in "._" else filled


def _named(name: str, table: Iterable[tuple[re.Pattern[str], str]], source: str) -> str:
    for pattern, new in table:
        if found := pattern.fullmatch(name):
            return found.expand(new)
    raise ValueError(f"{name} is no tensor of {source}")


def _joined(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Pieces below each other, in order, the rest as it is."""
    pieces: dict[str, dict[int, Tensor]] = {}
    whole = {}
    for name, value in state.items():
        if found := _PIECE.fullmatch(name):
            pieces.setdefault(f"{found[1]}.{found[3]}", {})[int(found[2])] = value
        else:
            whole[name] = value
    return whole | {name: torch.cat([part for _, part in sorted(parts.items())]) for name, parts in pieces.items()}


def _split(state: Mapping[str, Tensor], pieces: list[tuple[re.Pattern[str], int]]) -> dict[str, Tensor]:
    found = {}
    for name, value in state.items():
        count = next((n for pattern, n in pieces if pattern.fullmatch(name)), 0)
        stem, _, last = name.rpartition(".")
        parts = {f"{stem}[{i}].{last}": part for i, part in enumerate(value.chunk(count))} if count else {name: value}
        found.update(parts)
    return found
