"""The schedule and which parameters decay."""

import math

import pytest
import torch
from torch import nn

from dovetail.training.optimizer import adamw, learning_rate
from dovetail.training.settings import Settings
from tests import runs


@pytest.mark.parametrize(
    ("progress", "share"),
    [
        (0.0, 0.01),  # never 0: a first step of nothing would be wasted
        (0.05, 0.5),
        (0.1, 1.0),
        (0.1 + 0.9 / 4, (1 + math.sqrt(0.5)) / 2),
        (0.55, 0.5),
        (1.0, 0.0),
        (1.2, 0.0),  # the last step of a run by the clock may lie beyond its end
    ],
)
def test_rises_then_falls(progress: float, share: float) -> None:
    assert learning_rate(2.0, 0.1, progress) == pytest.approx(2 * share, abs=1e-12)


def test_without_warm_up_it_starts_at_the_peak() -> None:
    assert learning_rate(3.0, 0.0, 0.0) == 3.0
    assert learning_rate(3.0, 1.0, 1.0) == 3.0


def test_matrices_decay_and_nothing_else() -> None:
    model = runs.model()
    model.image.requires_grad_(False)
    groups = adamw(model, Settings(learning_rate=1e-3, weight_decay=0.3)).param_groups
    names = {id(p): name for name, p in model.named_parameters()}
    decay: dict[float, set[str]] = {0.3: set(), 0.0: set()}
    for group in groups:
        decay[group["weight_decay"]] |= {names[id(p)] for p in group["params"]}
    trained = {name for name, p in model.named_parameters() if not name.startswith("image.")}
    assert decay[0.3] | decay[0.0] == trained
    assert decay[0.3] == {name for name in trained if model.get_parameter(name).ndim >= 2}
    assert "log_scale" in decay[0.0] and any("bias" in name or "norm" in name for name in decay[0.0])
    assert "text_projection.weight" in decay[0.3]


def test_a_step_is_that_of_adamw() -> None:
    """One step written out: decay, then the sign of the gradient, for the first step of Adam has no history."""
    layer = nn.Linear(1, 1).double()
    before = [p.detach().clone() for p in layer.parameters()]
    optimizer = adamw(layer, Settings(learning_rate=0.1, weight_decay=0.5))
    (layer(torch.ones(1, 1, dtype=torch.float64)) * 3).sum().backward()
    optimizer.step()
    weight, bias = layer.parameters()
    torch.testing.assert_close(weight.detach(), before[0] * (1 - 0.1 * 0.5) - 0.1)
    torch.testing.assert_close(bias.detach(), before[1] - 0.1)


def test_nothing_to_train() -> None:
    with pytest.raises(ValueError, match="every parameter is frozen"):
        adamw(nn.Linear(2, 2).requires_grad_(False), Settings())
