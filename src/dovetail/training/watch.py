"""Noticing that training goes wrong, and saying so in words."""

import math
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from dovetail.contracts import PairLoss
from dovetail.models.dual_encoder import DualEncoder
from dovetail.ops.contrast import row_losses
from dovetail.ops.similarity import normalize


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


class Watch(Protocol):
    """Looks at a run every few steps, and speaks up once when something is wrong."""

    def see(self, losses: Sequence[float], scale: float) -> str | None:
        """Takes the losses of the steps since the last time and the scale of the scores; returns a warning when it is
        time for one."""
        ...


class StuckWatch:
    """Warns once when the loss has not come down from the level of knowing nothing.

    Args:
        level: that level (see `uninformed`).
        patience: steps to look at; none of the first `patience` counts.
    """

    def __init__(self, level: float, patience: int = 200):
        self.level, self.recent, self.seen, self.warned = level, deque[float](maxlen=patience), 0, False

    def see(self, losses: Sequence[float], scale: float) -> str | None:
        """See Watch."""
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


class ScaleWatch:
    """Warns once when the scale has run to its upper bound.

    Args:
        bound: the greatest scale that the model allows.
        start: the scale at the beginning; one that starts near the bound, as trained models do, is left alone.
    """

    def __init__(self, bound: float, start: float):
        self.bound, self.warned = bound, start > 0.9 * bound

    def see(self, losses: Sequence[float], scale: float) -> str | None:
        """See Watch."""
        if self.warned or scale < 0.999 * self.bound:
            return None
        self.warned = True
        return (
            f"the scale of the scores has run to its bound of {self.bound:.0f}: the model becomes surer faster than it "
            "becomes better. It learns its few pairs by heart, or the learning rate is too high: try fewer --epochs, "
            "a lower --settings.learning_rate, or --tune heads or lora."
        )


class CollapseWatch:
    """Warns once when the embeddings of different things have become the same.

    It looks at what the model's maps into the shared space give in training, and does no work of its own.

    Args:
        model: as it is trained.
        most: mean cosine of two embeddings of a batch above which they count as the same.
        patience: steps before it looks: towers of random weights start out much alike.
    """

    def __init__(self, model: DualEncoder, most: float = 0.98, patience: int = 200):
        self.most, self.patience, self.seen, self.warned = most, patience, 0, False
        self._last: dict[str, Tensor] = {}
        for what in ("image", "text"):
            getattr(model, f"{what}_projection").register_forward_hook(self._keeper(what))

    def see(self, losses: Sequence[float], scale: float) -> str | None:
        """See Watch."""
        self.seen += len(losses)
        if self.warned or self.seen < self.patience:
            return None
        for what, found in self._last.items():
            if len(found) > 1 and (alike := mean_cosine(found)) > self.most:
                self.warned = True
                return (
                    f"the {what} embeddings have collapsed: two of a batch have a cosine of {alike:.3f} on average, so "
                    "that nothing tells one from another. Check that images and captions differ; try a lower "
                    "--settings.learning_rate or a larger --batch."
                )
        return None

    def _keeper(self, what: str) -> Any:
        def keep(module: Any, inputs: Any, output: Tensor) -> None:
            self._last[what] = output.detach()

        return keep


def mean_cosine(x: Tensor) -> float:
    """The mean cosine of two different rows of x (b d), b at least 2."""
    b, total = len(x), normalize(x.float()).sum(0)
    return float((total @ total - b) / (b * (b - 1)))


def repeated(captions: int, several: int) -> str | None:
    """A warning where many captions stand under more than one image. captions: all; several: those that do."""
    if several < max(20, 0.01 * captions):
        return None
    return (
        f"{several:,} captions stand word for word under more than one image. In a batch they count as false for the "
        "other images that they are true of. Make them more specific, or give images that show the same the same id."
    )
