"""Means of weights."""

import pytest
import torch

from dovetail.models.interpolation import draw_back, interpolated
from tests.models.small import model


def test_every_tensor_lies_between() -> None:
    first, second = model(bias=1.0), model(bias=3.0)
    found = interpolated(first, second, 0.25).state_dict()
    for name, tensor in found.items():
        a, b = first.state_dict()[name], second.state_dict()[name]
        torch.testing.assert_close(tensor, 0.75 * a + 0.25 * b)
    assert float(found["bias"]) == pytest.approx(1.5)


def test_the_ends_are_the_models_themselves() -> None:
    first, second = model(), model()
    for alpha, wanted in ((0.0, first), (1.0, second)):
        found = interpolated(first, second, alpha).state_dict()
        assert all(torch.equal(found[k], v) for k, v in wanted.state_dict().items())


def test_what_only_the_tuned_model_has_is_its_own() -> None:
    first, second = model(), model(bias=3.0)
    assert float(interpolated(first, second, 0.5).state_dict()["bias"]) == 3.0


def test_a_tuned_model_without_what_the_original_has_is_refused() -> None:
    with pytest.raises(ValueError, match="the tuned model has other parts than the original, among them no bias"):
        interpolated(model(bias=3.0), model(), 0.5)


def test_neither_model_is_changed() -> None:
    first, second = model(), model()
    kept = [{k: v.clone() for k, v in m.state_dict().items()} for m in (first, second)]
    interpolated(first, second, 0.5)
    for before, m in zip(kept, (first, second), strict=True):
        assert all(torch.equal(before[k], v) for k, v in m.state_dict().items())


def test_a_model_is_drawn_back_to_what_it_was() -> None:
    first, second = model(bias=1.0), model(bias=3.0)
    wanted = interpolated(first, second, 0.25).state_dict()
    draw_back(second, first.state_dict(), 0.25)
    assert all(torch.equal(second.state_dict()[k], v) for k, v in wanted.items())


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="alpha must be between 0"):
        interpolated(model(), model(), 1.5)
    with pytest.raises(ValueError, match="has the shape"):
        interpolated(model(width=32), model(), 0.5)
