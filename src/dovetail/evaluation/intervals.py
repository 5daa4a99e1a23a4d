"""A figure and how far to trust it: the 95 % percentile bootstrap over items.

Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979.

A statistic is a function of how often each item counts: (s n) weights -> (s) values. With every weight 1 it is the
figure itself; with the counts of a draw of n items with replacement it is one resample. All statistics of a call see
the same resamples, so that a mean of several figures has an honest interval too. Values that are not independent (of
the captions of one image) share one item's weight. The interval of a figure at the very edge, 0 or 100 %, has width 0:
on few items it is too narrow.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

Statistic = Callable[[Float[Tensor, "s n"]], Float[Tensor, " s"]]
BLOCK = 1 << 20  # weights held at once: 8 MiB in float64


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; prints as `61.2 (58.9-63.4)`, and as f"{estimate:.3f}" with other precision.

    share: it is a share of 0..1, and printed in percent. drawn: its values on the resamples, for `difference`; they are
    not written.
    """

    value: float
    low: float
    high: float
    share: bool = False
    drawn: np.ndarray | None = field(default=None, compare=False, repr=False)

    def __format__(self, spec: str) -> str:
        scale = 100 if self.share else 1
        value, low, high = (format(scale * x, spec or ".1f") for x in (self.value, self.low, self.high))
        return f"{value} ({low}{' to ' if self.low < 0 else '-'}{high})"

    def __str__(self) -> str:
        return format(self)

    def to_json(self) -> dict[str, float | bool]:
        """The fields by name."""
        return {"value": self.value, "low": self.low, "high": self.high, "share": self.share}

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> "Estimate":
        """The inverse of `to_json`."""
        return cls(float(held["value"]), float(held["low"]), float(held["high"]), bool(held["share"]))


def bootstrap(
    statistics: Mapping[str, Statistic],
    items: int,
    shares: Collection[str] = (),
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Every statistic's value on all items, with the 2.5 % and 97.5 % quantiles of its values on resamples of them.

    shares: the names of those that are shares of 0..1. Raises ValueError when there are no items.
    """
    if items < 1:
        raise ValueError("nothing to estimate from: there are no items")
    ones = torch.ones(1, items, dtype=torch.float64)
    drawn: dict[str, list[Tensor]] = {name: [] for name in statistics}
    for weights in _resamples(items, resamples, seed):
        for name, statistic in statistics.items():
            drawn[name].append(statistic(weights))
    return {name: _estimate(float(of(ones)), torch.cat(drawn[name]), name in shares) for name, of in statistics.items()}


def difference(a: Estimate, b: Estimate) -> Estimate:
    """a less b, figures of the same items, with the interval of their difference on the same resamples.

    Raises ValueError for estimates without resamples, or of other numbers of them.
    """
    if a.drawn is None or b.drawn is None or len(a.drawn) != len(b.drawn):
        raise ValueError("a difference needs two estimates from the same number of resamples")
    return _estimate(a.value - b.value, torch.from_numpy(a.drawn - b.drawn), a.share)


def mean(values: Float[Tensor, " q"], item: Int[Tensor, " q"] | None = None) -> Statistic:
    """The mean of `values`; value i carries the weight of item `item[i]` (by default of item i)."""
    group = torch.arange(len(values)) if item is None else item
    counts = torch.bincount(group).double()
    sums = torch.zeros_like(counts).index_add_(0, group, values.double())
    return lambda weights: (weights[:, : len(sums)] @ sums) / (weights[:, : len(sums)] @ counts)


def median(values: Float[Tensor, " q"], item: Int[Tensor, " q"] | None = None) -> Statistic:
    """The median of `values` (the mean of the middle two of an even number); weights as in `mean`, whole numbers."""
    ordered, order = values.double().sort()
    group = order if item is None else item[order]

    def statistic(weights: Float[Tensor, "s n"]) -> Float[Tensor, " s"]:
        upto = weights[:, group].cumsum(1)
        total = upto[:, -1:]
        middle = torch.cat([((total - 1) / 2).floor(), (total / 2).floor()], 1)
        return ordered[torch.searchsorted(upto, middle, right=True)].mean(1)

    return statistic


def mean_per_class(values: Float[Tensor, " n"], labels: Int[Tensor, " n"]) -> Statistic:
    """The mean over classes of the mean of `values` in the class; a resample's mean is over the classes it met."""
    order = labels.argsort(stable=True)
    ends = torch.unique_consecutive(labels[order], return_counts=True)[1].cumsum(0) - 1
    held = values.double()[order]

    def statistic(weights: Float[Tensor, "s n"]) -> Float[Tensor, " s"]:
        drawn = weights[:, order]
        count = _segments(drawn, ends)
        means = _segments(drawn * held, ends) / count.clamp(min=1)
        return means.sum(1) / (count > 0).sum(1)

    return statistic


def average(statistics: list[Statistic]) -> Statistic:
    """The mean of several statistics of the same items."""
    return lambda weights: torch.stack([of(weights) for of in statistics]).mean(0)


def _segments(x: Float[Tensor, "s n"], ends: Int[Tensor, " c"]) -> Float[Tensor, "s c"]:
    """Sums over consecutive columns, each segment ending with its column in `ends`."""
    upto = x.cumsum(1)[:, ends]
    return torch.diff(upto, dim=1, prepend=torch.zeros(len(x), 1, dtype=x.dtype))


def _resamples(items: int, resamples: int, seed: int) -> Iterator[Float[Tensor, "s n"]]:
    """How often each item was drawn, for a block of resamples at a time."""
    random = np.random.default_rng(seed)
    rows = max(1, BLOCK // items)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = random.integers(items, size=(size, items)) + items * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * items)
        yield torch.from_numpy(counts.astype(np.float64)).view(size, items)


def _estimate(value: float, drawn: Float[Tensor, " s"], share: bool) -> Estimate:
    low, high = np.quantile(drawn.numpy(), [0.025, 0.975])
    # widened, if need be, to hold the figure itself
    return Estimate(value, min(float(low), value), max(float(high), value), share, drawn.numpy())
