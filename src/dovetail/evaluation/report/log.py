"""From the rows of `log.jsonl` to the charts of the report."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from dovetail.evaluation.report.content import Curve, Series


@dataclass(frozen=True)
class Wanted:
    """A chart to look for: its title, which keys of the rows become which line, and the unit they are logged in."""

    title: str
    lines: Mapping[str, str]  # pattern (as in file names) of a key -> name of the line
    unit: str = ""
    scale: float = 1.0


WANTED = (
    Wanted("Loss", {"loss": "training", "val*/loss": "validation"}),
    Wanted(
        "Recall at 10 on validation",
        {"val*text_to_image/R@10": "text to image", "val*image_to_text/R@10": "image to text"},
        unit="%",
    ),
    Wanted("Learnt and forgotten: mean recall", {"val/mean_recall": "validation", "watch/mean_recall": "watched"}, "%"),
    Wanted("Learning rate", {"learning_rate": "learning rate"}),
    Wanted("Scale of the scores", {"scale": "scale"}),
)


def curves(rows: Iterable[Mapping[str, Any]], wanted: Sequence[Wanted] = WANTED) -> tuple[Curve, ...]:
    """The charts that the rows have values for, in the order of `wanted`.

    A row is a mapping with `step` and any of the keys; nested mappings are reached with a slash
    (`{"validation": {"loss": 2.0}}` has the key `validation/loss`), and the first key that fits a pattern is taken.
    A step that is logged again replaces what was logged before. Values that are missing, not numbers or not finite
    are left out.
    """
    flat = [_flat(row) for row in rows]
    found = ((w, [_series(flat, key, name, w.scale) for key, name in w.lines.items()]) for w in wanted)
    kept = ((w, tuple(s for s in series if s.steps)) for w, series in found)
    return tuple(Curve(w.title, series, w.unit) for w, series in kept if series)


def images_per_step(rows: Iterable[Mapping[str, Any]]) -> float | None:
    """Images seen a step, from the last row that has `step` and `images`; None when there is none."""
    known = [r["images"] / r["step"] for r in rows if _number(r.get("images")) and _number(r.get("step")) and r["step"]]
    return float(known[-1]) if known else None


def _flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    held: dict[str, Any] = {}
    for key, value in row.items():
        held |= _flat(value, f"{prefix}{key}/") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return held


def _series(rows: Sequence[Mapping[str, Any]], pattern: str, name: str, scale: float) -> Series:
    key = next((k for row in rows for k in row if fnmatchcase(k, pattern)), pattern)
    points = {float(r["step"]): scale * float(r[key]) for r in rows if _number(r.get("step")) and _number(r.get(key))}
    steps = tuple(sorted(points))
    return Series(name, steps, tuple(points[s] for s in steps))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
