"""Evaluating during training: what the curves show, and by what the best weights are chosen."""

from collections.abc import Sequence

from dovetail.data.sources import Stream, Table
from dovetail.evaluation.adapter import Embedder
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.divided import Divided
from dovetail.models.dual_encoder import DualEncoder
from dovetail.training.loop import Validate

IMAGES = 1_000  # evaluated during training; a report uses all


def validation(held_out: Sequence[Table | Stream]) -> Validate | None:
    """Mean recall on (a part of) the first held-out source, in percent; None without one. The work of all processes."""
    if not held_out:
        return None
    benchmark = RetrievalBenchmark(held_out[0], limit=IMAGES)

    def validate(model: DualEncoder) -> dict[str, float]:
        figures = benchmark(Divided(Embedder(model))).figures
        shown = {name: 100 * e.value if e.share else e.value for name, e in figures.items()}
        return {"val/mean_recall": shown.pop("mean_recall"), **{f"val/{k}": v for k, v in shown.items()}}

    return validate
