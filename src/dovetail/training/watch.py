"""Noticing that training goes wrong, and saying so in words."""

import math
from collections import deque
from collections.abc import Sequence

import torch

from dovetail.contracts import PairLoss
from dovetail.ops.contrast import row_losses


class TrainingStopped(RuntimeError):
    """Training cannot go on. The message says at which step, with which items, and what to try."""


def not_finite(step: int, what: str, value: float, names: Sequence[str], checkpoint: str) -> TrainingStopped:
    """The error for a loss, or another figure, that is not a number or infinite."""
    listed = "\n  ".join(names[:20]) + (f"\n  ... and {len(names) - 20} more" if len(names) > 20 else "")
    return TrainingStopped(
        f"the {what} is {value} at step {step}. The batch held\n  {listed}\n"
        f"The last good checkpoint is kept: {checkpoint}. "
        "Try a lower --settings.learning_rate or --settings.precision fp32."
    )


def uninformed(loss: PairLoss, rows: int, cols: int) -> float:
    """What a pair loss costs a model that gives every pair the same score, the best such score: nothing is learnt
    below it.

    For InfoNCE it is ln(columns) with one positive a row, hence the rule `stuck at ln(batch)`.
    """
    targets = torch.zeros(1, cols)
    targets[0, : max(1, cols // rows)] = 1  # a row's share of the columns belongs to it
    constants = torch.linspace(-15, 5, 81)
    return min(float(row_losses(loss, torch.full((1, cols), float(c)), targets)) for c in constants)


class StuckWatch:
    """Warns once when the loss has not come down from the level of knowing nothing.

    Args:
        level: that level (see `uninformed`).
        patience: steps to look at; none of the first `patience` counts.
    """

    def __init__(self, level: float, patience: int = 200):
        self.level, self.recent, self.seen, self.warned = level, deque[float](maxlen=patience), 0, False

    def see(self, losses: Sequence[float]) -> str | None:
        """Takes new losses; returns the warning when it is time for it."""
        self.recent.extend(losses)
        self.seen += len(losses)
        size = self.recent.maxlen or 0
        if self.warned or self.seen < 2 * size or not math.isfinite(self.level):
            return None
        mean = sum(self.recent) / len(self.recent)
        if mean < 0.98 * self.level:
            return None
        self.warned = True
        return (
            f"the loss has stayed at {mean:.2f} for {size} steps, the level of a model that knows nothing "
            f"({self.level:.2f}). "
            "Check that captions belong to their images; try a lower --settings.learning_rate, "
            "a longer --settings.warmup or a larger --batch."
        )
