"""What an evaluation found: written as JSON, printed as a table."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from dovetail.data.records import DataError, Problems
from dovetail.evaluation.intervals import Estimate


@dataclass(frozen=True, eq=False)
class Result(Mapping[str, Estimate]):
    """One benchmark's figures by name, and what a reader needs to judge them.

    chance: what guessing gives, by the same names. counts: how much was measured (`images`, `captions`, `classes`).
    details: lists and tables for JSON, such as the accuracy of every class. evidence: the objects behind the figures
    (embeddings, ranks, records), for a report; it is not written.
    """

    name: str
    figures: Mapping[str, Estimate]
    chance: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    skipped: Problems = field(default_factory=Problems)
    details: Mapping[str, Any] = field(default_factory=dict)
    evidence: Any = None

    def __getitem__(self, name: str) -> Estimate:
        return self.figures[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.figures)

    def __len__(self) -> int:
        return len(self.figures)

    def to_json(self) -> dict[str, Any]:
        """Everything but the evidence."""
        return {
            "name": self.name,
            "figures": {name: estimate.to_json() for name, estimate in self.figures.items()},
            "chance": dict(self.chance),
            "counts": dict(self.counts),
            "skipped": {"counts": dict(self.skipped.counts), "examples": self.skipped.examples},
            "details": dict(self.details),
        }

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> "Result":
        """The inverse of `to_json`."""
        skipped = Problems()
        skipped.counts.update(held["skipped"]["counts"])
        skipped.examples.update(held["skipped"]["examples"])
        figures = {name: Estimate.from_json(estimate) for name, estimate in held["figures"].items()}
        return cls(held["name"], figures, held["chance"], held["counts"], skipped, held["details"])


@dataclass(frozen=True, eq=False)
class Results:
    """The results of several benchmarks on one model. about: whatever identifies it (model, data, date), as text."""

    results: tuple[Result, ...]
    about: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain JSON values."""
        return {"about": dict(self.about), "results": [result.to_json() for result in self.results]}

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> "Results":
        """The inverse of `to_json`."""
        return cls(tuple(Result.from_json(result) for result in held["results"]), held["about"])

    def write(self, path: str | Path) -> None:
        """Writes JSON beside `path` and moves it there, so that a reader never meets half a file."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        beside.write_text(json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(beside, path)

    @classmethod
    def read(cls, path: str | Path) -> "Results":
        """What `write` wrote. Raises DataError for a file that is missing or of another form."""
        try:
            return cls.from_json(json.loads(Path(path).read_text(encoding="utf-8")))
        except OSError as error:
            message = f"{path}: no results can be read ({error.strerror}); `dovetail evaluate` writes them"
            raise DataError(message) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            cause = f"{type(error).__name__}: {error}"
            message = f"{path}: not a results file ({cause}); write it anew with `dovetail evaluate`"
            raise DataError(message) from error

    def table(self) -> Table:
        """For the terminal: a line a figure, with its interval and what guessing gives."""
        table = Table(title_justify="left")
        table.add_column("figure")
        table.add_column("value (95 % interval)", justify="right")
        table.add_column("by chance", justify="right")
        for result in self.results:
            counts = ", ".join(f"{count:,} {what}" for what, count in result.counts.items())
            table.add_section()
            table.add_row(Text(f"{result.name}  {counts}".rstrip(), style="bold"))
            for name, estimate in result.figures.items():
                unit = " %" if estimate.share else ""
                table.add_row(f"  {name}{unit}", str(estimate), _chance(result.chance.get(name), estimate.share))
            for line in result.skipped.lines():
                table.add_row(Text(f"  skipped {line}", style="yellow"))
        return table


def _chance(chance: float | None, share: bool) -> str:
    if chance is None:
        return ""
    return f"{100 * chance:.3g}" if share else f"{chance:,.1f}"
