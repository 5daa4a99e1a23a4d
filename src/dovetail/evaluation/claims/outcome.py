"""What came out of a claim: the values of every seed, their paired difference and the verdict. One JSON file each."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

from scipy.stats import t as student

from dovetail.data.records import DataError
from dovetail.evaluation.intervals import Estimate

Verdict = Literal["reproduced", "no difference", "reversed"]
Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Measured:
    """The figure of one seed: of the method, of the baseline, and, for a claim about how much either changes, of both
    where they start from."""

    seed: int
    method: float
    baseline: float
    method_reference: float | None = None
    baseline_reference: float | None = None

    @property
    def difference(self) -> float:
        """Method less baseline; with references, change of the method less change of the baseline."""
        return (self.method - (self.method_reference or 0.0)) - (self.baseline - (self.baseline_reference or 0.0))


@dataclass(frozen=True)
class Cost:
    """What training cost, the mean over the seeds. peak_bytes: memory of the process, or of the GPU where there is
    one."""

    seconds: float
    images_per_second: float
    peak_bytes: int


@dataclass(frozen=True)
class Asked:
    """What was claimed, and how it was put to the test; method and baseline in short texts, and, for a claim about how
    much either changes, what they are changed from."""

    says: str
    benchmark: str
    metric: str
    better: Better
    method: str
    baseline: str
    references: tuple[str, str] | None = None


@dataclass(frozen=True)
class Made:
    """Where an outcome comes from. seconds: of all its trainings; fingerprint: of all that it depends on."""

    commit: str
    device: str
    seconds: float
    fingerprint: str
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """A claim that was run. difference, chance: in the figure's own unit; costs: by role."""

    key: str
    contract: str
    scale: str
    claim: Asked
    seeds: tuple[Measured, ...]
    difference: Estimate
    chance: float | None
    verdict: Verdict
    made: Made
    costs: Mapping[str, Cost] = field(default_factory=dict)

    @property
    def method_mean(self) -> float:
        """The method's figure, averaged over the seeds."""
        return fmean(s.method for s in self.seeds)

    @property
    def baseline_mean(self) -> float:
        """The baseline's figure, averaged over the seeds."""
        return fmean(s.baseline for s in self.seeds)

    @property
    def at_chance(self) -> bool:
        """Whether neither the method's nor the baseline's figure is told from chance by the seeds."""
        if self.chance is None:
            return False
        sides = [s.method - self.chance for s in self.seeds], [s.baseline - self.chance for s in self.seeds]
        return all(verdict(paired(side), self.claim.better) != "reproduced" for side in sides)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON values, the seeds with their differences."""
        held: dict[str, Any] = {k: getattr(self, k) for k in ("key", "contract", "scale", "chance", "verdict")}
        held |= {"claim": asdict(self.claim), "made": asdict(self.made), "difference": self.difference.to_json()}
        held["costs"] = {role: asdict(cost) for role, cost in self.costs.items()}
        held["seeds"] = [{**asdict(s), "difference": s.difference} for s in self.seeds]
        return held

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> "Outcome":
        """The inverse of `to_json`."""
        seeds = tuple(Measured(**{k: v for k, v in s.items() if k != "difference"}) for s in held["seeds"])
        costs = {name: Cost(**cost) for name, cost in held["costs"].items()}
        references = held["claim"].get("references")
        asked = Asked(**{**held["claim"], "references": tuple(references) if references else None})
        parts = {"claim": asked, "made": Made(**held["made"])}
        return cls(
            **{**held, **parts, "seeds": seeds, "difference": Estimate.from_json(held["difference"]), "costs": costs}
        )

    def write(self, path: Path) -> None:
        """Writes beside `path` and renames."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        beside.write_text(json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(beside, path)


def paired(differences: Sequence[float], share: bool = False) -> Estimate:
    """The mean of paired differences with its 95 % interval of Student's t. Raises ValueError for fewer than two.

    It speaks of the luck of training (weights, order, drawn scenes), which is the same for both sides of a pair.
    """
    n = len(differences)
    if n < 2:
        raise ValueError(f"an interval over seeds needs at least two of them, there are {n}")
    mean = fmean(differences)
    half = float(student.ppf(0.975, n - 1)) * stdev(differences) / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, share)


def verdict(difference: Estimate, better: Better) -> Verdict:
    """`reproduced` and `reversed` need an interval that excludes zero."""
    if difference.low <= 0 <= difference.high:
        return "no difference"
    return "reproduced" if (difference.low > 0) == (better == "higher") else "reversed"


def outcomes(folder: Path) -> list[Outcome]:
    """The outcomes among the JSON files of a folder, sorted by key.

    Raises DataError, naming the file, for one that cannot be read.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        if outcome := read(path):
            found.append(outcome)
    return sorted(found, key=lambda outcome: outcome.key)


def read(path: Path) -> Outcome | None:
    """The outcome that a file holds; None for a file that is missing or holds something else.

    Raises DataError for one that is broken.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return Outcome.from_json(held) if isinstance(held, dict) and "verdict" in held else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not an outcome of `dovetail verify` ({error}); delete it and verify again") from error
