"""What meets what in a contrast, and how much the one belongs to the other."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dovetail.contracts import Features


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


Targets = Callable[[Side, Side], Float[Tensor, "r c"] | None]
"""How much each column belongs to each row, from 0 up; None when none does. Called with parts of either side."""


def same_ids(rows: Side, cols: Side) -> Float[Tensor, "r c"] | None:
    """1 where the ids are equal."""
    if not torch.isin(rows.ids, cols.ids).any():
        return None
    return (rows.ids[:, None] == cols.ids[None, :]).to(rows.weights.dtype)
