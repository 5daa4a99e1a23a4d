"""Figures as people read them: a value with its interval, what chance would give, and how they are written out."""

import math
from dataclasses import dataclass

from dovetail.evaluation.intervals import Estimate

GAP = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
TOPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class Figure:
    """One measured figure. A share (0..1, more is better) is shown in percent, drawn on a scale, and divided by chance.

    chance: what guessing would reach, in the units of the estimate; None where that has no meaning.
    """

    name: str
    estimate: Estimate
    chance: float | None = None
    decimals: int = 1

    @property
    def share(self) -> bool:
        """Whether it is a share of 0..1."""
        return self.estimate.share

    @property
    def shown(self) -> str:
        """The value with its unit: `13.2 %`."""
        return self._with_unit(self._text(self.estimate.value))

    @property
    def interval(self) -> str:
        """The interval with its unit: `11.9 to 14.6 %`; empty when it is not known."""
        low, high = self.estimate.low, self.estimate.high
        if not (math.isfinite(low) and math.isfinite(high)):
            return ""
        return self._with_unit(f"{self._text(low)} to {self._text(high)}")

    @property
    def chance_shown(self) -> str:
        """What chance reaches, with its unit; empty when it has no meaning."""
        return "" if self.chance is None else self._with_unit(self._text(self.chance))

    @property
    def ratio(self) -> str:
        """How many times chance the value is: `132 ×`; empty when that has no meaning."""
        if not self.share or not self.chance or not math.isfinite(self.estimate.value):
            return ""
        return f"{plain(self.estimate.value / self.chance, 1 if self.estimate.value < 10 * self.chance else 0)}{GAP}×"

    def _text(self, value: float) -> str:
        return plain(100 * value if self.share else value, self.decimals)

    def _with_unit(self, text: str) -> str:
        return f"{text}{GAP}%" if self.share else text


@dataclass(frozen=True)
class FigureGroup:
    """Figures that belong together, such as one direction of retrieval."""

    title: str
    figures: tuple[Figure, ...]

    @property
    def top(self) -> float:
        """Where the drawn scale of the group's shares ends: the smallest round share above all of them."""
        shares = [x for f in self.figures if f.share for x in (f.estimate.value, f.estimate.high) if math.isfinite(x)]
        return next((top for top in TOPS if top >= max(shares, default=1.0)), 1.0)


@dataclass(frozen=True)
class FigureTable:
    """A table of figures with the sentence that says what was measured on what."""

    sentence: str
    groups: tuple[FigureGroup, ...]

    @property
    def top(self) -> float:
        """Where the drawn scale of all shares ends, so that the groups can be compared."""
        return max((g.top for g in self.groups), default=1.0)


def plain(value: float | int, decimals: int = 1) -> str:
    """A number with thousands separators: `5,000`, `13.2`; `0.02` where the decimals would show a bare zero."""
    if not math.isfinite(value):
        return "–"
    small = value != 0 and abs(value) < 0.5 * 10**-decimals
    return (f"{value:.1g}" if small else f"{value:,.{decimals}f}").replace("-", MINUS)


def score(value: float) -> str:
    """A score to two places: `0.31`, `−0.04`."""
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", MINUS)


def along(value: float | int, top: float | int = 1.0) -> float:
    """Where a value lies on a drawn scale from 0 to `top`, in percent of its length, kept inside."""
    return round(100 * min(max(value / top, 0.0), 1.0), 2) if math.isfinite(value) and top > 0 else 0.0
