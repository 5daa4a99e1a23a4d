"""Random choices that a number decides."""

import torch

from dovetail.ops.draws import chosen, draws, mixed

ALL = (1 << 64) - 1


def _mixed(x: int) -> int:
    """SplitMix64's last step in Python's integers."""
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & ALL
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & ALL
    return x ^ (x >> 31)


def test_equals_the_definition() -> None:
    for key in (0, 1, -5, 2**62 + 12345):
        found = int(mixed(torch.tensor(key))) & ALL
        assert found == _mixed(key & ALL)
    row = _mixed((7 + _mixed(3)) & ALL)
    wanted = [_mixed((row + 0x9E3779B97F4A7C15 * i) & ALL) for i in (1, 2, 3)]
    assert [int(x) & ALL for x in draws(torch.tensor([7]), 3, 3)[0]] == wanted


def test_a_choice_is_the_key_s_own() -> None:
    keys = torch.tensor([5, 9, -3, 5])
    found = chosen(keys, 16, 6, 1)
    assert (found.sum(1) == 6).all()
    assert torch.equal(found[0], found[3]) and not torch.equal(found[0], found[1])
    assert torch.equal(chosen(keys.flip(0), 16, 6, 1), found.flip(0))
    assert not torch.equal(chosen(keys, 16, 6, 2), found)


def test_every_place_is_chosen_equally_often() -> None:
    often = chosen(torch.arange(4000), 8, 2, 0).double().mean(0)
    assert (often - 0.25).abs().max() < 0.03
