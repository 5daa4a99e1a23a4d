"""The parts of a training in stages; whole ones are in test_course."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dovetail.contracts import Batch, Stage
from dovetail.data.records import DataError
from dovetail.models.dual_encoder import DualEncoder
from dovetail.training.assemble import make_objective
from dovetail.training.settings import Span
from dovetail.training.stages import enter, learning, leave, left, spans, stages_of
from tests import runs


class Guest(nn.Module):
    """Adds a part to the model when it begins, and takes it away when it ends."""

    requires = ()

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        self.heard = list(captions)
        model.guest = nn.Linear(2, 2)

    def end(self, model: DualEncoder) -> None:
        del model.guest

    def encode(self, model: DualEncoder, batch: Batch) -> Any:
        return model.guest.weight.sum()

    def terms(self, outputs: Any, batch: Batch) -> Mapping[str, Tensor]:
        return {"guest": outputs}


class Two(nn.Module):
    """A schedule."""

    requires = ()
    stages = (Stage(Guest(), 3.0, ("text",)), Stage(make_objective("infonce")))


def test_an_objective_is_one_stage_and_a_schedule_has_its_own() -> None:
    objective = make_objective("infonce")
    assert stages_of(objective) == (Stage(objective),)
    assert stages_of(Two()) == Two.stages


def test_the_budget_is_divided_by_shares() -> None:
    assert spans(stages_of(make_objective("infonce"))) == [Span(0.0, 1.0)]
    assert spans(Two.stages) == [Span(0.0, 0.75), Span(0.75, 1.0)]
    third = spans([Stage(Guest())] * 3)
    assert third[-1].stop == 1.0 and third[0].stop == third[1].start
    with pytest.raises(ValueError, match="above 0"):
        spans([Stage(Guest(), 0.0)])


def test_what_is_frozen_learns_again_in_the_next_stage() -> None:
    model = runs.model()
    model.image_projection.requires_grad_(False)  # as a preset of tuning may say
    chosen = learning(model)
    enter(model, Two.stages[0], ["a dog"], chosen, 0)
    assert Two.stages[0].objective.heard == ["a dog"]  # type: ignore[attr-defined]
    assert not any(p.requires_grad for p in model.text.parameters()) and model.guest.weight.requires_grad
    leave(model, Two.stages[0])
    enter(model, Two.stages[1], [], chosen, 1)
    assert learning(model) == chosen


def test_a_part_that_is_not_there_is_named() -> None:
    model = runs.model()
    with pytest.raises(DataError, match="Guest freezes 'sound', which this model does not have"):
        enter(model, Stage(Guest(), 1.0, ("sound",)), [], learning(model), 0)


def test_what_begins_depends_on_the_seed_alone() -> None:
    found = []
    for seed in (5, 5, 6):
        model = runs.model()
        torch.rand(3)
        enter(model, Two.stages[0], [], {}, seed)
        found.append(model.guest.weight)
    assert found[0].equal(found[1]) and not found[0].equal(found[2])


def test_how_it_would_end_leaves_the_model_alone() -> None:
    model, stage = runs.model(), Two.stages[0]
    enter(model, stage, [], {}, 0)
    ended = left(model, stage)
    assert hasattr(model, "guest") and not hasattr(ended, "guest")
    assert left(model, Two.stages[1]) is model
