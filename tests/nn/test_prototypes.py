"""Heads of self-distillation against torch's own layers, and the centre over steps and processes."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dovetail.nn.prototypes import PrototypeHead, SelfDistillation
from dovetail.nn.repeatable import repeatable
from tests.processes import run


def test_the_head_is_a_perceptron_and_a_weight_normalised_map() -> None:
    head: Any = PrototypeHead(5, 7, 6, 4)
    last: Any = nn.utils.parametrizations.weight_norm(nn.Linear(4, 7, bias=False))
    last.parametrizations.weight.original0.data.fill_(1)
    last.parametrizations.weight.original1.data.copy_(head.prototypes)
    x = torch.randn(3, 5)
    torch.testing.assert_close(head(x), last(F.normalize(head.layers(x), dim=1)))
    assert [type(m).__name__ for m in head.layers] == ["Linear", "GELU", "Linear", "GELU", "Linear"]
    assert float(head.layers[0].weight.detach().abs().max()) < 0.1 and not head.layers[0].bias.any()


def test_only_the_pupil_learns_and_the_centre_moves_in_advance() -> None:
    heads: Any = SelfDistillation(5, 7, 6, momentum=0.9)
    said = heads.said(torch.randn(3, 5))
    costs = heads.costs(torch.randn(3, 5), said)
    heads.note(said[:1])
    heads.note(said[1:])
    assert not heads.centre.any()
    costs.sum().backward()
    assert all(p.grad is not None for p in heads.pupil.parameters())
    nn.init.zeros_(heads.pupil.prototypes)
    before = heads.teacher.module.prototypes.clone()
    heads.advance(0.5)
    torch.testing.assert_close(heads.centre, said.mean(0) * 0.1)
    torch.testing.assert_close(heads.teacher.module.prototypes, before / 2)
    heads.advance(0.5)
    torch.testing.assert_close(heads.centre, said.mean(0) * 0.1)


def _part(rank: int) -> Tensor:
    return _centre((slice(0, 1), slice(1, 4))[rank])


def _centre(part: slice) -> Tensor:
    with repeatable():
        heads, x = SelfDistillation(5, 7, 6), torch.randn(4, 5)
    heads.note(heads.said(x[part]))
    heads.advance(0.9)
    return heads.centre


def test_two_processes_have_one_centre() -> None:
    for centre in run(_part, 2):
        torch.testing.assert_close(centre, _centre(slice(None)))
