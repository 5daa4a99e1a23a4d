"""A training in stages: what each begins with, what of the model learns in it, and its part of the budget."""

import copy
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

import torch
from torch import nn

from dovetail.contracts import Beginning, Ending, Schedule, Stage
from dovetail.data.records import DataError
from dovetail.models.dual_encoder import DualEncoder
from dovetail.training.settings import Span


def stages_of(objective: Any) -> tuple[Stage, ...]:
    """The stages of a Schedule; an Objective is one stage."""
    return objective.stages if isinstance(objective, Schedule) else (Stage(objective),)


def spans(stages: Iterable[Stage]) -> list[Span]:
    """The part of the budget that each stage spends: its share of all shares, in turn. Raises ValueError for a share
    that is not above 0."""
    shares = [stage.share for stage in stages]
    if min(shares) <= 0:
        raise ValueError(f"the shares of stages must be above 0, not {shares}")
    ends = [end / sum(shares) for end in accumulate(shares)]
    return [Span(start, stop) for start, stop in zip([0.0, *ends[:-1]], [*ends[:-1], 1.0], strict=True)]


def learning(model: nn.Module) -> dict[str, bool]:
    """Which parameters learn."""
    return {name: p.requires_grad for name, p in model.named_parameters()}


def enter(model: DualEncoder, stage: Stage, captions: Iterable[str], chosen: Mapping[str, bool], seed: int) -> None:
    """Makes the model and the stage's objective ready for each other. chosen: which parameters learn where the stage
    does not say otherwise. Random numbers depend on `seed` alone.

    Raises DataError for a part to freeze that the model does not have.
    """
    for name, p in model.named_parameters():
        p.requires_grad_(chosen.get(name, p.requires_grad))
    torch.manual_seed(seed)
    if isinstance(stage.objective, Beginning):
        stage.objective.begin(model, captions)
    parts = dict(model.named_modules())
    for name in stage.frozen:
        if name not in parts:
            raise DataError(f"{type(stage.objective).__name__} freezes {name!r}, which this model does not have")
        parts[name].requires_grad_(False)


def leave(model: DualEncoder, stage: Stage) -> None:
    """What the stage's objective does to the model at its end."""
    if isinstance(stage.objective, Ending):
        stage.objective.end(model)


def left(model: DualEncoder, stage: Stage) -> DualEncoder:
    """The model as it would be if the stage ended now; itself, if that changes nothing."""
    if not isinstance(stage.objective, Ending):
        return model
    model = copy.deepcopy(model)  # the weights may be those that are being trained
    stage.objective.end(model)
    return model
