"""Evaluating during training: what the curves show, and by what the best weights are chosen."""

from collections.abc import Mapping, Sequence

from dovetail.data.sources import Stream, Table
from dovetail.evaluation.adapter import Embedder
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.divided import Divided
from dovetail.evaluation.intervals import Estimate
from dovetail.models.dual_encoder import DualEncoder
from dovetail.training.loop import Validate

IMAGES = 1_000  # evaluated during training; a report uses all


def validation(held_out: Sequence[Table | Stream], watched: Sequence[Table | Stream] = ()) -> Validate | None:
    """Mean recall on (a part of) the first held-out source and the first watched one, in percent; None without a
    held-out one. The work of all processes."""
    if not held_out:
        return None
    asked = {"val": RetrievalBenchmark(held_out[0], limit=IMAGES)}
    if watched:
        asked["watch"] = RetrievalBenchmark(watched[0], limit=IMAGES)

    def validate(model: DualEncoder) -> dict[str, float]:
        embedder = Divided(Embedder(model))
        return {k: v for name, benchmark in asked.items() for k, v in _figures(name, benchmark(embedder).figures)}

    return validate


def _figures(name: str, figures: Mapping[str, Estimate]) -> list[tuple[str, float]]:
    """In percent, the mean recall first."""
    shown = {key: 100 * e.value if e.share else e.value for key, e in figures.items()}
    return sorted(((f"{name}/{key}", value) for key, value in shown.items()), key=lambda x: "mean_recall" not in x[0])
