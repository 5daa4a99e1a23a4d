"""Hidden words and what guessing them costs."""

import math

import pytest
import torch
from torch import Tensor, nn

from dovetail.contracts import Tokens
from dovetail.nn.mlm import WordHead, hidden_words, mean_of_words, without, words_of

SPECIAL = (0, 1, 2)


def _tokens(t: int = 300, longest: int = 14) -> Tokens:
    torch.manual_seed(0)
    ids = torch.randint(3, 50, (t, longest))
    lengths = torch.randint(2, longest + 1, (t,))
    ids[:, 0] = 1
    ids[torch.arange(t), lengths - 1] = 2
    return Tokens(ids, torch.arange(longest) < lengths[:, None])


def _words(tokens: Tokens) -> Tensor:
    return tokens.mask & (tokens.ids > 2)


def test_as_many_as_the_rate_says_and_one_at_least() -> None:
    tokens = _tokens()
    words = _words(tokens)
    for rate in (0.15, 0.5, 0.9):
        found = [hidden_words(tokens, SPECIAL, rate, salt) for salt in range(20)]
        assert not any((f & ~words).any() for f in found)
        assert all((f.any(1) == words.any(1)).all() for f in found)
        long = words.sum(1) >= 11
        share = torch.stack([f[long].sum() / words[long].sum() for f in found]).mean()
        least = (1 - rate) ** 11 / 11  # one that is hidden lest there be none
        assert rate - 0.02 < share < rate + least + 0.02
    assert (hidden_words(tokens, SPECIAL, 1.0, 0) == words).all() and (words_of(tokens, SPECIAL) == words).all()
    assert (hidden_words(tokens, SPECIAL, 0.0, 0).sum(1) == words.any(1)).all()


def test_every_place_and_salt_has_draws_of_its_own() -> None:
    tokens = Tokens(torch.arange(3, 43).view(1, 40).expand(2, 40) + torch.tensor([[0], [1]]), torch.ones(2, 40).bool())
    found = torch.stack([hidden_words(tokens, SPECIAL, 0.3, salt) for salt in range(1000)]).double()
    assert (found.mean(0) - 0.3).abs().max() < 0.06, "each place as often"
    alike = torch.corrcoef(found.flatten(1).T)
    assert (alike - torch.eye(80)).abs().max() < 0.16, "places, and nearly equal texts, know nothing of each other"


def test_the_draw_depends_on_the_text_alone() -> None:
    tokens = _tokens()
    found = hidden_words(tokens, SPECIAL, 0.3, 5)
    order = torch.randperm(len(tokens.ids))
    assert (hidden_words(Tokens(tokens.ids[order], tokens.mask[order]), SPECIAL, 0.3, 5) == found[order]).all()
    short = tokens.mask.sum(1) <= 9
    cut = Tokens(tokens.ids[short, :9], tokens.mask[short, :9])
    assert (hidden_words(cut, SPECIAL, 0.3, 5) == found[short, :9]).all()
    junk = Tokens(tokens.ids.masked_fill(~tokens.mask, 7), tokens.mask)
    assert (hidden_words(junk, SPECIAL, 0.3, 5) == found).all()
    assert (hidden_words(tokens, SPECIAL, 0.3, 6) != found).any()


def test_it_chooses_among_some_words_where_there_are_some() -> None:
    tokens = _tokens()
    among = tokens.ids < 8
    found, some = hidden_words(tokens, SPECIAL, 0.5, 0, among), _words(tokens) & among
    has = some.any(1)
    assert has.any() and not has.all()
    assert not (found & ~some)[has].any() and found[has].any(1).all()
    assert (found[~has] == hidden_words(tokens, SPECIAL, 0.5, 0)[~has]).all()


def test_hidden_words_become_blanks() -> None:
    tokens = _tokens()
    found = hidden_words(tokens, SPECIAL, 0.5, 0)
    blanked = without(tokens, found, 0)
    assert (blanked.ids[found] == 0).all() and (blanked.ids[~found] == tokens.ids[~found]).all()
    assert blanked.mask is tokens.mask, "a blank is a real word"


def test_costs_are_those_of_the_definition() -> None:
    torch.manual_seed(0)
    head = WordHead(4, 9).double()
    states = torch.randn(3, 5, 4, dtype=torch.float64, requires_grad=True)
    tokens = Tokens(torch.randint(0, 9, (3, 5)), torch.ones(3, 5).bool())
    hidden = torch.tensor([[0, 1, 1, 0, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 1]]).bool()
    found, count = head.costs(states, tokens, hidden)
    assert count.tolist() == [2, 0, 2]

    def defined(states: Tensor) -> list[float]:
        costs = []
        for t in range(3):
            total = 0.0
            for place in range(5):
                if hidden[t, place]:
                    scores = head(states[t, place : place + 1])[0].tolist()
                    total += math.log(sum(map(math.exp, scores))) - scores[int(tokens.ids[t, place])]
            costs.append(total)
        return costs

    assert found.tolist() == pytest.approx(defined(states), abs=1e-12)
    (gradient,) = torch.autograd.grad(found.sum(), states)
    for at in torch.cartesian_prod(torch.arange(3), torch.arange(5), torch.arange(4)).tolist():
        ends = []
        for step in (1e-6, -1e-6):
            moved = states.detach().clone()
            moved[tuple(at)] += step
            ends.append(sum(defined(moved)))
        assert gradient[tuple(at)].item() == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-6)


def test_without_hidden_words_the_head_has_gradients_all_the_same() -> None:
    head = WordHead(4, 9)
    costs, _ = head.costs(torch.randn(2, 3, 4), _tokens(2, 3), torch.zeros(2, 3).bool())
    costs.sum().backward()
    assert all(isinstance(p, nn.Parameter) and p.grad is not None and not p.grad.any() for p in head.parameters())


def test_the_mean_is_over_words() -> None:
    costs = torch.tensor([3.0, 0.0, 8.0]), torch.tensor([1, 0, 2])
    assert mean_of_words(costs, torch.ones(3)).item() == pytest.approx(11 / 3)
    assert mean_of_words(costs, torch.tensor([2.0, 5.0, 0.5])).item() == pytest.approx((6 + 4) / 3)
