"""Projectors against torch's own layers, and over processes."""

import torch
from torch import Tensor, nn

from dovetail.nn.projector import OverBatch, perceptron
from dovetail.nn.repeatable import repeatable
from tests.processes import run

X = torch.linspace(-1, 1, 5 * 4, dtype=torch.float64).view(5, 4).sin().cumsum(0)


def test_equals_batch_normalisation_in_training() -> None:
    x = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    ours, theirs = OverBatch(3).double(), nn.BatchNorm1d(3).double()
    for norm in (ours, theirs):
        nn.init.constant_(norm.weight, 1.5)
        nn.init.constant_(norm.bias, -0.2)
    pull = torch.randn(6, 3, dtype=torch.float64)
    values = [norm(x) for norm in (ours, theirs)]
    torch.testing.assert_close(*values)
    torch.testing.assert_close(*(torch.autograd.grad((v * pull).sum(), x)[0] for v in values))


def test_one_item_is_its_own_mean() -> None:
    assert torch.equal(OverBatch(3)(torch.randn(1, 3)), torch.zeros(1, 3))


def test_a_perceptron_has_norms_and_relus_between_its_maps() -> None:
    layers = perceptron((4, 8, 8, 2))
    assert [type(m).__name__ for m in layers] == [
        "Linear",
        "OverBatch",
        "ReLU",
        "Linear",
        "OverBatch",
        "ReLU",
        "Linear",
    ]
    theirs = nn.Sequential(*(nn.BatchNorm1d(m.weight.numel()) if isinstance(m, OverBatch) else m for m in layers))
    x = torch.randn(5, 4)
    torch.testing.assert_close(layers(x), theirs(x))


def _part(rank: int) -> tuple[Tensor, list[Tensor]]:
    return _whole((slice(0, 2), slice(2, 5))[rank], 2)


def _whole(part: slice, processes: int) -> tuple[Tensor, list[Tensor]]:
    """The mean over processes of `processes` times each one's sum is the sum over all."""
    with repeatable():
        layers = perceptron((4, 3, 2)).double()
    x = X.clone().requires_grad_()
    found = (layers(x[part]) ** 3).sum() * processes
    found.backward()
    gradients = [leaf.grad for leaf in (x, *layers.parameters()) if leaf.grad is not None]
    return found.detach() / processes, [g / processes for g in gradients]


def test_two_processes_are_one() -> None:
    parts, (value, gradients) = run(_part, 2), _whole(slice(None), 1)
    torch.testing.assert_close(parts[0][0] + parts[1][0], value)
    assert len(gradients) == 7
    for i, gradient in enumerate(gradients):
        torch.testing.assert_close(parts[0][1][i] + parts[1][1][i], gradient)
