"""Several methods trained on the same data with the same budget: their figures, what they cost, what follows."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from dovetail.data.records import DataError
from dovetail.evaluation.intervals import Estimate
from dovetail.evaluation.report.texts import clip

Standing = Literal["higher", "lower", "open"]
NOTABLE = 1.1  # costs further apart than this are worth a sentence
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Contender:
    """One method of a comparison.

    name: the objective as it was asked for. figures: the mean over the seeds; per_seed: the value of each seed, by the
    same names. seconds: of training; images_per_second: while training; peak_bytes: of memory; images: seen in
    training. seconds to images are the mean over the seeds. curve: (seconds, main figure in %) along the training.
    warnings: what a reader must know of this training, a sentence each.
    """

    name: str
    figures: Mapping[str, Estimate]
    per_seed: Mapping[str, tuple[float, ...]]
    seconds: float
    images_per_second: float
    peak_bytes: int
    parameters: int
    steps: int
    images: int
    curve: tuple[tuple[float, float], ...] = ()
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> "Contender":
        """A contender as `Comparison.to_json` writes it."""
        figures = {name: Estimate.from_json(estimate) for name, estimate in held["figures"].items()}
        per_seed = {name: tuple(values) for name, values in held["per_seed"].items()}
        curve = tuple((float(x), float(y)) for x, y in held["curve"])
        warnings = tuple(held["warnings"])
        return cls(**{**held, "figures": figures, "per_seed": per_seed, "curve": curve, "warnings": warnings})


@dataclass(frozen=True)
class Comparison:
    """The contenders, the first of which the others are measured against.

    main: the figure that decides; more of it is better. chance: what guessing gives, by the figures' names.
    differences: by contender (all but the first) and figure, the contender less the first, with its 95 % interval:
    over the test items with one seed, over paired seeds with several. about: data, device, budget, versions, commit.
    Raises ValueError when there is no contender, a name twice, or a main figure or its difference missing.
    """

    contenders: tuple[Contender, ...]
    main: str
    chance: Mapping[str, float]
    differences: Mapping[str, Mapping[str, Estimate]]
    seeds: int = 1
    about: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [c.name for c in self.contenders]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"a comparison needs contenders of different names, not {names}")
        for contender in self.contenders:
            if self.main not in contender.figures:
                raise ValueError(f"{contender.name} has no figure {self.main!r}, which is to decide")
        for name in names[1:]:
            if self.main not in self.differences.get(name, {}):
                raise ValueError(f"there is no difference in {self.main!r} of {name} to {names[0]}")

    @property
    def first(self) -> Contender:
        """The contender that the others are measured against."""
        return self.contenders[0]

    @property
    def challengers(self) -> tuple[Contender, ...]:
        """All contenders but the first."""
        return self.contenders[1:]

    @property
    def figures(self) -> list[str]:
        """The names of all figures, the main one first."""
        return list(dict.fromkeys([self.main, *(name for c in self.contenders for name in c.figures)]))

    def standing(self, name: str, figure: str) -> Standing | None:
        """Where a contender stands to the first in a figure: `open` where the interval of the difference includes zero.

        None for the first, and where there is no difference.
        """
        difference = self.differences.get(name, {}).get(figure)
        if difference is None:
            return None
        if difference.low > 0:
            return "higher"
        return "lower" if difference.high < 0 else "open"

    def at_chance(self, contender: Contender) -> bool:
        """Whether the interval of the contender's main figure does not lie above chance."""
        chance = self.chance.get(self.main)
        return chance is not None and not contender.figures[self.main].low > chance

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain JSON values."""
        contenders = [
            {**vars(c), "figures": {name: estimate.to_json() for name, estimate in c.figures.items()}}
            for c in self.contenders
        ]
        differences = {
            name: {figure: estimate.to_json() for figure, estimate in found.items()}
            for name, found in self.differences.items()
        }
        held = {"main": self.main, "chance": dict(self.chance), "seeds": self.seeds, "about": dict(self.about)}
        return {**held, "contenders": contenders, "differences": differences}

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> "Comparison":
        """The inverse of `to_json`."""
        contenders = tuple(Contender.from_json(contender) for contender in held["contenders"])
        differences = {
            name: {figure: Estimate.from_json(estimate) for figure, estimate in by_figure.items()}
            for name, by_figure in held["differences"].items()
        }
        return cls(**{**held, "contenders": contenders, "differences": differences})

    def write(self, path: str | Path) -> None:
        """Writes JSON beside `path` and moves it there, so that a reader never meets half a file."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            beside.write_text(json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)

    @classmethod
    def read(cls, path: str | Path) -> "Comparison":
        """What `write` wrote. Raises DataError for a file that is missing or of another form."""
        try:
            return cls.from_json(json.loads(Path(path).read_text(encoding="utf-8")))
        except OSError as error:
            message = f"{path}: no comparison can be read ({error.strerror}); `dovetail compare` writes them"
            raise DataError(message) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            cause = f"{type(error).__name__}: {error}"
            raise DataError(f"{path}: not a comparison ({cause}); make it anew with `dovetail compare`") from error


def conclusion(comparison: Comparison) -> tuple[str, ...]:
    """What can be concluded, in a few plain sentences: who is ahead, who behind, what stays open, and what it cost."""
    if all(map(comparison.at_chance, comparison.contenders)):
        return (_all_at_chance(comparison), *_costs(comparison))
    if not comparison.challengers:
        alone = f"Only {label(comparison.first)} was trained: there is nothing to compare it with."
        return (alone, *_cautions(comparison))
    return (*_standings(comparison), *_cautions(comparison), *_costs(comparison))


def table(comparison: Comparison) -> Table:
    """For the terminal: a line a contender, with the main figure, its difference to the first, and the costs."""
    unit = " %" if comparison.first.figures[comparison.main].share else ""
    made = Table(caption_justify="left", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    made.add_column("objective", overflow="fold")
    made.add_column(Text(f"{spoken(comparison.main)}{unit}\n(95 % interval)"), justify="right", no_wrap=True)
    made.add_column(Text(f"less {clip(comparison.first.name, 15)}"), justify="right", no_wrap=True)
    for name in ("time", "memory", "images/s"):
        made.add_column(name, justify="right", no_wrap=True)
    for contender in comparison.contenders:
        difference = comparison.differences.get(contender.name, {}).get(comparison.main)
        made.add_row(
            Text(label(contender)),
            str(contender.figures[comparison.main]),
            signed(difference) if difference else "",
            duration(contender.seconds),
            memory(contender.peak_bytes),
            f"{contender.images_per_second:,.0f}",
        )
    if comparison.main in comparison.chance:
        made.add_section()
        made.add_row("by chance", _value(comparison.chance[comparison.main], bool(unit)))
    warnings = [f"{label(c)}: {clip(warning)}" for c in comparison.contenders for warning in c.warnings]
    made.caption = Text("\n".join(warnings), style="yellow") if warnings else None
    return made


def label(contender: Contender) -> str:
    """The contender's name as it is shown: on one line, without control characters, not endless."""
    return clip(contender.name, 60)


def spoken(figure: str) -> str:
    """A figure's name in words: `text_to_image/R@1` -> `text to image, R@1`."""
    return clip(figure.replace("_", " ").replace("/", ", "), 60)


def signed(estimate: Estimate) -> str:
    """A difference with its interval: `+2.1 (+0.4 to +3.9)`, in percentage points where the figure is a share."""
    return f"{_signed(estimate.value, estimate.share)} ({_ends(estimate)})"


def duration(seconds: float) -> str:
    """`45 s`, or `10.0 min` from two minutes on."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:,.1f} min"


def memory(size: float) -> str:
    """`812 MB`, or `1.6 GB` from a thousand on."""
    return f"{size / 1e6:,.0f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"


def _standings(comparison: Comparison) -> list[str]:
    said, still = [], []
    first, main = label(comparison.first), spoken(comparison.main)
    for contender in comparison.challengers:
        difference, name = comparison.differences[contender.name][comparison.main], label(contender)
        match comparison.standing(contender.name, comparison.main):
            case "higher":
                said.append(f"{name} is ahead of {first} by {_apart(difference)} in {main}.")
            case "lower":
                said.append(f"{name} is behind {first} by {_apart(_turned(difference))} in {main}.")
            case _:
                still.append(f"{name} ({signed(difference)})")
    if still:
        whose = "the interval of its difference includes" if len(still) == 1 else "the intervals include"
        whom = f"{_listed(still)} {'is' if len(still) == 1 else 'are'} better or worse than {first}"
        said.append(f"Whether {whom} in {main} cannot be concluded: {whose} zero.")
    return said


def _apart(difference: Estimate) -> str:
    """`2.1 percentage points (95 % interval 0.4 to 3.9)`"""
    value, low, high = (_value(x, difference.share) for x in (difference.value, difference.low, difference.high))
    return f"{value}{' percentage points' if difference.share else ''} (95 % interval {low} to {high})"


def _cautions(comparison: Comparison) -> list[str]:
    said = []
    lost = [label(c) for c in comparison.contenders if comparison.at_chance(c)]
    if lost:
        said.append(f"{_listed(lost)} {'is' if len(lost) == 1 else 'are'} still at chance.")
    if comparison.seeds == 1:
        said.append(
            "With one seed the intervals cover the choice of test items only, not the luck of training; "
            "--seeds 3 shows how large that is."
        )
    elif comparison.challengers:
        said.append(f"The intervals of the differences cover the luck of training, over {comparison.seeds} seeds.")
    if len(comparison.challengers) > 1:
        said.append(
            f"There are {len(comparison.challengers)} differences, and the intervals are not corrected for that: "
            "of methods that are equally good, one in twenty seems ahead or behind."
        )
    return said


def _costs(comparison: Comparison) -> list[str]:
    """A sentence for every cost in which the contenders lie further apart than a tenth."""
    every = comparison.contenders
    said = []
    if spread := _spread(every, [c.seconds for c in every]):
        low, high = spread
        said.append(
            f"Training took from {duration(low.seconds)} ({label(low)}) to {duration(high.seconds)} ({label(high)})."
        )
    elif spread := _spread(every, [c.images for c in every]):
        low, high = spread
        said.append(
            f"In the same time they saw from {low.images:,} ({label(low)}) to {high.images:,} images ({label(high)}): "
            "this compares what the time buys, not what an image teaches."
        )
    if spread := _spread(every, [c.peak_bytes for c in every]):
        low, high = spread
        said.append(
            f"Memory peaked at {memory(low.peak_bytes)} ({label(low)}) to {memory(high.peak_bytes)} ({label(high)})."
        )
    return said


def _spread(every: Sequence[Contender], costs: Sequence[float]) -> tuple[Contender, Contender] | None:
    """The contenders with the least and the most of a cost; None where they are about the same."""
    low, high = (pick(range(len(every)), key=lambda i: costs[i]) for pick in (min, max))
    return (every[low], every[high]) if costs[high] > NOTABLE * costs[low] else None


def _all_at_chance(comparison: Comparison) -> str:
    names = [label(c) for c in comparison.contenders]
    share = comparison.first.figures[comparison.main].share
    level = f"{_value(comparison.chance[comparison.main], share)}{' %' if share else ''}"
    who = f"{_listed(names)} {'is' if len(names) == 1 else 'are all'} still at chance"
    return (
        f"{who} in {spoken(comparison.main)} ({level}): nothing can be said about the methods. "
        "Give them more time or more data."
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _turned(estimate: Estimate) -> Estimate:
    return Estimate(-estimate.value, -estimate.high, -estimate.low, estimate.share)


def _ends(estimate: Estimate) -> str:
    return f"{_signed(estimate.low, estimate.share)} to {_signed(estimate.high, estimate.share)}"


def _value(value: float, share: bool) -> str:
    scaled = 100 * value if share else value
    text = f"{scaled:,.1f}"
    if scaled and not text.strip("-0."):  # an edge above zero must not read as zero
        text = f"{scaled:.1g}"
    return text.replace("-", MINUS)


def _signed(value: float, share: bool) -> str:
    return ("+" if value > 0 else "") + _value(value, share)
