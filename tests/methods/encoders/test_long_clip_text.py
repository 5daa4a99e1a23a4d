"""A lengthened text tower against positions written out, and what of it learns."""

from typing import Any

import pytest
import torch
from torch import Tensor

from dovetail.catalogue import build, configuration, rebuild
from dovetail.contracts import Encoder, Tokens
from dovetail.methods.encoders.long_clip_text import LongClipText

TOWERS = ("text_transformer(50, 77, 8, 1, 2)", "clip_text(50, 77, 8, 1, 2)", "siglip_text(50, 77, 8, 1, 2)")


def _tower(spec: str) -> Any:
    made = build(spec, Encoder).double().eval()
    torch.nn.init.normal_(made.positions)
    return made


def _written_out(old: Tensor) -> Tensor:
    """From 77 to 248: twenty as they are, then four for each, the last four along the last slope."""
    rows = [old[i] for i in range(20)]
    for i in range(20, 77):
        low, high = (old[i], old[i + 1]) if i < 76 else (old[76], 2 * old[76] - old[75])
        rows += [low, 0.75 * low + 0.25 * high, 0.5 * low + 0.5 * high, 0.25 * low + 0.75 * high]
    return torch.stack(rows)


def _texts(length: int) -> Tokens:
    ids = torch.randint(3, 50, (2, length))
    mask = torch.ones_like(ids, dtype=torch.bool)
    mask[1, length // 2 :] = False
    return Tokens(ids, mask)


@pytest.mark.parametrize("spec", TOWERS)
def test_is_the_tower_with_the_positions_written_out(spec: str) -> None:
    tower = _tower(spec)
    ours, x = LongClipText(tower), _texts(248)
    wanted = _tower(spec.replace("77", "248"))
    state = {**tower.state_dict(), "positions": _written_out(tower.positions.detach())}
    wanted.load_state_dict(state)
    torch.testing.assert_close(ours(x).pooled, wanted(x).pooled, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ours(x).tokens, wanted(x).tokens, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("spec", TOWERS)
def test_a_text_of_few_tokens_is_what_it_was(spec: str) -> None:
    tower, x = _tower(spec), _texts(20)
    assert torch.equal(LongClipText(tower)(x).pooled, tower(x).pooled)


def test_the_first_positions_do_not_learn_and_the_others_do() -> None:
    ours = LongClipText(_tower(TOWERS[0]), kept=15)
    pooled = ours(_texts(100)).pooled
    (pooled * torch.randn_like(pooled)).sum().backward()
    gradient = ours.text.positions.grad
    assert gradient[:15].abs().max() == 0 and gradient[15:100].abs().amin(1).min() > 0
    assert "first" not in dict(ours.named_parameters()) and ours.first.shape == (15, 8)
    x = _texts(10)
    before = ours(x).pooled
    with torch.no_grad():
        ours.text.positions[:15] += 1  # as weight decay may
    assert torch.equal(ours(x).pooled, before)


def test_weights_are_shared_and_what_was_frozen_stays_frozen() -> None:
    tower = _tower(TOWERS[0])
    tower.words.requires_grad_(False)
    ours = LongClipText(tower)
    assert ours.text.words.weight.data_ptr() == tower.words.weight.data_ptr()
    assert not ours.text.words.weight.requires_grad and ours.text.positions.requires_grad


def test_is_made_again_without_being_stretched_again() -> None:
    ours = LongClipText(_tower(TOWERS[1]), context=130)
    again = rebuild(configuration(ours)).double()
    again.load_state_dict(ours.state_dict())
    x = _texts(130)
    assert torch.equal(again(x).pooled, ours(x).pooled)


def test_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="reads texts of 77 tokens already, more than 60"):
        LongClipText(_tower(TOWERS[0]), 60)
    with pytest.raises(ValueError, match="a context of 77 tokens has no positions beyond the first 76"):
        LongClipText(_tower(TOWERS[0]), kept=76)
    with pytest.raises(ValueError, match="ViT has no positions that could be resized to 60 tokens"):
        LongClipText(build("vit(32, 8, 8, 1, 2)", Encoder), 60)
