"""What every Objective must do."""

from dataclasses import fields, replace
from typing import Any

import pytest
import torch

from dovetail.contracts import Batch, Captions, Objective, Tokens
from tests.contracts.samples import Make, batch, dual_encoder, samples

OBJECTIVES = pytest.mark.parametrize("make", samples(Objective))


def _model(objective: Any) -> torch.nn.Module:
    return dual_encoder(getattr(objective, "loss", None), getattr(objective, "similarity", None))


def _terms(objective: Any, model: torch.nn.Module, data: Batch) -> dict[str, torch.Tensor]:
    return dict(objective.terms(objective.encode(model, data), data))


@OBJECTIVES
def test_says_what_it_requires(make: Make) -> None:
    objective = make()
    assert isinstance(objective, torch.nn.Module)
    known = {f.name for f in fields(Batch)} | {"several captions", "negative captions"}
    assert isinstance(objective.requires, tuple) and set(objective.requires) <= known


@OBJECTIVES
def test_its_terms_are_numbers_from_which_all_of_the_model_learns(make: Make) -> None:
    objective = make()
    model = _model(objective).train()
    terms = _terms(objective, model, batch())
    assert terms and all(isinstance(name, str) for name in terms)
    assert all(term.shape == () and term.isfinite() for term in terms.values())
    torch.stack(list(terms.values())).sum().backward()
    learnt = [*model.named_parameters(), *objective.named_parameters()]
    assert not [name for name, p in learnt if p.requires_grad and p.grad is None]
    assert all(p.grad.isfinite().all() for _, p in learnt)


@OBJECTIVES
def test_the_order_of_the_batch_is_nothing(make: Make) -> None:
    objective, data = make(), batch()
    model = _model(objective).eval()
    images, captions = torch.tensor([3, 1, 4, 0, 2]), torch.tensor([6, 2, 0, 7, 4, 1, 5, 3])
    c = data.captions
    place = torch.empty_like(images)
    place[images] = torch.arange(5)  # where each image now lies
    shuffled = replace(
        data,
        images=data.images[images],
        ids=data.ids[images],
        names=tuple(data.names[i] for i in images),
        captions=Captions(
            Tokens(c.tokens.ids[captions], c.tokens.mask[captions]), place[c.owner[captions]], c.kind[captions]
        ),
    )
    _same(_terms(objective, model, data), _terms(objective, model, shuffled))


@OBJECTIVES
def test_runs_in_double_and_in_half_precision(make: Make) -> None:
    objective, data = make(), batch()
    model = _model(objective).eval()
    found = _terms(objective, model, data)
    with torch.autocast("cpu", torch.bfloat16):
        half = _terms(objective, model, data)
    pixels = model.preprocessing.normalise(data.images).double()
    double = _terms(objective.double(), model.double(), replace(data, images=pixels))
    for name, term in found.items():
        torch.testing.assert_close(half[name].float(), term, rtol=0.1, atol=0.1)
        torch.testing.assert_close(double[name].float(), term, rtol=1e-4, atol=1e-4)


def _same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-5, atol=1e-5)
