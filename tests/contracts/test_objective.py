"""What every Objective must do."""

from dataclasses import fields
from typing import Any

import pytest
import torch

from dovetail.contracts import Batch, Objective
from tests.contracts.samples import Make, batch, begun, normalised, samples, shuffled

OBJECTIVES = pytest.mark.parametrize("make", samples(Objective))


def _terms(objective: Any, model: torch.nn.Module, data: Batch) -> dict[str, torch.Tensor]:
    return dict(objective.terms(objective.encode(model, data), data))


@OBJECTIVES
def test_says_what_it_requires(make: Make) -> None:
    objective = make()
    assert isinstance(objective, torch.nn.Module)
    known = {f.name for f in fields(Batch)} | {
        f"{kind} captions" for kind in ("several", "negative", "long", "synthetic")
    }
    assert isinstance(objective.requires, tuple) and set(objective.requires) <= known


@OBJECTIVES
def test_its_terms_are_numbers_from_which_all_of_the_model_learns(make: Make) -> None:
    objective = make()
    model = begun(objective).train()
    terms = _terms(objective, model, batch(objective))
    assert terms and all(isinstance(name, str) for name in terms)
    assert all(term.shape == () and term.isfinite() for term in terms.values())
    torch.stack(list(terms.values())).sum().backward()
    learnt = [*model.named_parameters(), *objective.named_parameters()]
    assert not [name for name, p in learnt if p.requires_grad and p.grad is None]
    assert all(p.grad.isfinite().all() for _, p in learnt if p.requires_grad)


@OBJECTIVES
def test_the_order_of_the_batch_is_nothing(make: Make) -> None:
    objective = make()
    model = begun(objective).eval()
    objective.eval()  # a state that follows the training stands still
    data = batch(objective)
    other = shuffled(data, torch.tensor([3, 1, 4, 0, 2]))
    _same(_terms(objective, model, data), _terms(objective, model, other))


@OBJECTIVES
def test_runs_in_double_and_in_half_precision(make: Make) -> None:
    objective = make()
    model = begun(objective).eval()
    objective.eval()  # a state that follows the training stands still
    data = batch(objective)
    found = _terms(objective, model, data)
    with torch.autocast("cpu", torch.bfloat16):
        half = _terms(objective, model, data)
    double = _terms(objective.double(), model.double(), normalised(data, model.preprocessing))
    for name, term in found.items():
        torch.testing.assert_close(half[name].float(), term, rtol=0.1, atol=0.1)
        torch.testing.assert_close(double[name].float(), term, rtol=1e-4, atol=1e-4)


def _same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-5, atol=1e-5)
