"""Mixtures of experts against their definition in loops."""

import math

import pytest
import torch
from torch import nn

from dovetail.catalogue import build
from dovetail.contracts import Encoder
from dovetail.nn.experts import Mixture, Multiplet, blocks_of, mixtures_of, routed, upcycled
from dovetail.nn.transformer import Block, Layout


def _mixture(experts: int = 3, top: int = 2) -> Mixture:
    torch.manual_seed(0)
    found = Mixture(nn.Linear(4, 6), nn.Linear(6, 4), torch.tanh, experts, top).double()
    for p in found.parameters():
        nn.init.normal_(p)
    return found


def test_oracle() -> None:
    mixture, x = _mixture(), torch.randn(7, 4, dtype=torch.float64)

    def said(expert: int, v: torch.Tensor) -> torch.Tensor:
        up, down = mixture.experts[expert]
        return down.weight @ torch.tanh(up.weight @ v + up.bias) + down.bias

    found = mixture(x)
    for i in range(7):
        scores = [
            math.exp(float(sum(w * v for w, v in zip(row, x[i], strict=True))))
            for row in mixture.router.weight.detach()
        ]
        best = sorted(range(3), key=lambda e: -scores[e])[:2]
        whole = sum(scores[e] for e in best)
        torch.testing.assert_close(found[i], sum(scores[e] / whole * said(e, x[i]) for e in best))


def test_gradients_reach_the_router_and_the_experts_that_were_used() -> None:
    mixture, x = _mixture(), torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(mixture, (x,))
    mixture(x).square().sum().backward()
    assert mixture.router.weight.grad is not None and mixture.router.weight.grad.abs().sum() > 0
    assert all(p.grad is not None for p in mixture.parameters()), "zeros, where no token came"


def test_an_upcycled_tower_says_what_it_said() -> None:
    torch.manual_seed(0)
    tower = build("vit(32, 8, 32, 2, 2)", Encoder).double().eval()
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    before = tower(x)
    assert len(blocks_of(tower)) == 2
    changed = upcycled(tower, 4, 2)
    assert changed is tower and not blocks_of(tower) and len(mixtures_of(tower)) == 2
    torch.testing.assert_close(tower(x).tokens, before.tokens)


def test_what_routers_say_is_heard_while_it_is_asked_for() -> None:
    block = nn.ModuleList([upcycled(Block(4, 2), 3, 1)])
    x, layout = torch.randn(6, 4), Layout(2, 3)
    with routed(block) as seen:
        block[0](x, layout)
    block[0](x, layout)
    assert [s.shape for s in seen] == [(6, 3)]


def test_towers_without_blocks_and_impossible_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="Linear has no transformer blocks of ours"):
        upcycled(nn.Linear(2, 2), 4, 2)
    with pytest.raises(ValueError, match="expected 1 <= top <= experts"):
        upcycled(Block(4, 2), 2, 3)


def test_a_multiplet_keeps_the_perceptrons_of_each_expert() -> None:
    torch.manual_seed(0)
    tower = build("text_transformer(300, 12, 16, 2, 2)", Encoder)
    blocks, kept = blocks_of(tower), Multiplet(2)
    kept.begin(tower)
    first = [block.up.weight.detach().clone() for block in blocks]
    with torch.no_grad():
        for block in blocks:
            block.up.weight.add_(1.0)
            block.down.bias.add_(1.0)
    second = [(block.up.weight.detach().clone(), block.down.bias.detach().clone()) for block in blocks]
    kept.take(1, blocks)
    kept.begin(tower)  # what is there already stays
    kept.put(0, blocks)
    assert all(torch.equal(block.up.weight, w) for block, w in zip(blocks, first, strict=True))
    kept.put(1, blocks)
    for block, (up, down) in zip(blocks, second, strict=True):
        assert torch.equal(block.up.weight, up) and torch.equal(block.down.bias, down)
    assert not any(p.requires_grad for p in kept.parameters())
