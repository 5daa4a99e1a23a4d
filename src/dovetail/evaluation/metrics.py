"""How early the right answers come, and the figures made of it: recall at k, median and reciprocal rank.

Ties are broken by a fair coin, in expectation: of the t wrong and r right items that share the best right item's score,
every order is equally likely. So a model that gives every item the same score is credited with exactly what guessing
gets, and never with 100 %. A classification is the same with the classes as gallery: recall at k is top-k accuracy.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Ranks:
    """Where the best right item of each of q queries stands among a gallery of `gallery` items."""

    above: Int[Tensor, " q"]  # wrong items that score higher than the best right one
    tied: Int[Tensor, " q"]  # wrong items that score the same
    level: Int[Tensor, " q"]  # right items that score the same, itself included: at least 1
    right: Int[Tensor, " q"]  # right items in the gallery
    gallery: int


def recall(ranks: Ranks, k: int) -> Float[Tensor, " q"]:
    """1 where a right item is among the first k, 0 where none is, between where ties decide."""
    left = (k - ranks.above).double()  # places that the tied group fills
    tied, level = ranks.tied.double(), ranks.level.double()
    drawn = left.clamp(min=0).minimum(tied)
    # no right item in a draw of `drawn` of the group: C(tied, drawn) / C(tied + level, drawn)
    missed = (_log_choose(tied, drawn) - _log_choose(tied + level, drawn)).exp()
    missed = torch.where(left <= 0, 1.0, torch.where(left > tied, 0.0, missed))
    return 1 - missed


def position(ranks: Ranks) -> Float[Tensor, " q"]:
    """The expected place of the first right item, counted from 1."""
    return 1 + ranks.above.double() + ranks.tied.double() / (ranks.level.double() + 1)


def reciprocal_rank(ranks: Ranks) -> Float[Tensor, " q"]:
    """One over the expected place of the first right item, in 0..1; its mean is the mean reciprocal rank."""
    return 1 / position(ranks)


def guess(ranks: Ranks) -> Ranks:
    """The ranks of the same queries if every item of the gallery scored the same: what chance gives."""
    none = torch.zeros_like(ranks.above)
    return Ranks(none, ranks.gallery - ranks.right, ranks.right, ranks.right, ranks.gallery)


def _log_choose(n: Float[Tensor, " q"], k: Float[Tensor, " q"]) -> Float[Tensor, " q"]:
    return torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1)
