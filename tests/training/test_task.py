"""A model and its objective as one module."""

from functools import partial

import torch

from dovetail.training.assemble import make_objective
from dovetail.training.task import Task
from tests import runs


def test_gives_the_objective_s_terms_and_their_gradients() -> None:
    model, objective, batch = runs.model(), make_objective("siglip(initial_bias=-2.0)"), runs.batch()
    terms = Task(model, objective)(partial(Task.terms, batch=batch))
    apart = objective.terms(objective.encode(model, batch), batch)
    assert list(terms) == list(apart) == ["contrastive"]
    assert torch.equal(terms["contrastive"], apart["contrastive"])
    terms["contrastive"].backward()
    assert all(
        p.grad is not None for p in (model.log_scale, model.image_projection.weight, model.text_projection.weight)
    )
