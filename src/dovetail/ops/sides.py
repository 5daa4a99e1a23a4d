"""What meets what in a contrast, and how much the one belongs to the other."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dovetail.contracts import Features
from dovetail.ops.features import take


@dataclass(frozen=True)
class Side:
    """One side of the contrast: n things, which of them are the same, and how much each counts as a row.

    A weight of 0 makes a thing a column only: a hard negative that asks no question of its own. `facts` are whatever
    else soft targets are made of, such as a teacher's embeddings; no gradient reaches them.
    """

    features: Features
    ids: Int[Tensor, " n"]
    weights: Float[Tensor, " n"]
    facts: Float[Tensor, "n f"] | None = None

    def part(self, start: int, stop: int) -> "Side":
        """The things from `start` to `stop`."""
        f, at = self.features, slice(start, stop)
        tokens, mask = (None if x is None else x[at] for x in (f.tokens, f.mask))
        facts = None if self.facts is None else self.facts[at]
        return Side(Features(f.pooled[at], tokens, mask, f.grid), self.ids[at], self.weights[at], facts)

    def only(self, which: Bool[Tensor, " n"]) -> "Side":
        """The things that `which` names, in their order."""
        at = which.nonzero()[:, 0]
        facts = None if self.facts is None else self.facts[at]
        return Side(take(self.features, at), self.ids[at], self.weights[at], facts)


@dataclass(frozen=True)
class Pairs:
    """The p pairs of some rows and columns that belong together, each once: their rows and columns, and how much."""

    at: tuple[Int[Tensor, " p"], Int[Tensor, " p"]]
    targets: Float[Tensor, "p 1"]

    @staticmethod
    def of(targets: Float[Tensor, "r c"]) -> "Pairs | None":
        """Those whose target is not 0."""
        row, col = targets.nonzero(as_tuple=True)
        return Pairs((row, col), targets[row, col][:, None]) if len(row) else None


NEITHER = 1e-30  # a target that counts for nothing, but keeps a pair from the negatives

Targets = Callable[[Side, Side], Pairs | None]
"""Which columns belong to which rows, and how much, from 0 up (None: none does). Called with parts of either side."""


def same_ids(rows: Side, cols: Side) -> Pairs | None:
    """Whose ids are equal, fully."""
    ids, order = cols.ids.sort()
    first, last = torch.searchsorted(ids, rows.ids), torch.searchsorted(ids, rows.ids, right=True)
    count = last - first
    row = torch.repeat_interleave(count)
    if not len(row):
        return None
    nth = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]  # of its row's
    return Pairs((row, order[first[row] + nth]), rows.weights.new_ones(len(row), 1))
