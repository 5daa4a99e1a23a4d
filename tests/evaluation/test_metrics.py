"""Figures from ranks, against every order that the ties allow."""

import pytest
import torch

from dovetail.evaluation.matching import Matching
from dovetail.evaluation.metrics import Ranks, guess, position, recall, reciprocal_rank
from tests.evaluation import oracles
from tests.evaluation.similarities import features, inner

CASES = [
    ([3, 1, 2, 0], [0, 1, 0, 0]),  # no tie
    ([1, 1, 1, 1, 1], [0, 0, 1, 0, 0]),  # all tied
    ([1, 1, 1, 1, 1], [0, 1, 1, 0, 1]),  # all tied, several right
    ([2, 1, 1, 1, 0, 1], [0, 1, 0, 1, 1, 0]),  # two right among the tied, one below, one wrong above
    ([2, 2, 1, 2, 0], [1, 0, 1, 0, 0]),  # the best right one is tied at the top
    ([2, 2, 1], [1, 1, 0]),  # only right ones are tied
    ([1, 1, 1], [1, 1, 1]),  # all are right
]


def ranked(scores: list[int], right: list[int]) -> Ranks:
    """The ranks of one query, whose scores are inner products."""
    gallery = features(torch.tensor(scores, dtype=torch.float32)[:, None])
    return Matching(features(torch.ones(1, 1)), gallery, torch.ones(1).long(), torch.tensor(right), inner).ranks()


@pytest.mark.parametrize(("scores", "right"), CASES)
def test_ties_are_broken_by_a_fair_coin(scores: list[int], right: list[int]) -> None:
    ranks = ranked(scores, right)
    flags = [bool(r) for r in right]
    for k in range(1, len(scores) + 2):
        assert float(recall(ranks, k)) == pytest.approx(oracles.tied_recall(scores, flags, k), abs=1e-12)
    assert float(position(ranks)) == pytest.approx(oracles.tied_place(scores, flags))


@pytest.mark.parametrize(("scores", "right"), CASES)
def test_guessing_is_what_equal_scores_get(scores: list[int], right: list[int]) -> None:
    flags = [bool(r) for r in right]
    for k in range(1, len(scores) + 1):
        expected = oracles.tied_recall([0] * len(scores), flags, k)
        assert float(recall(guess(ranked(scores, right)), k)) == pytest.approx(expected)


def test_without_ties_hits_are_exactly_0_or_1() -> None:
    above = torch.arange(20)
    one = torch.ones_like(above)
    ranks = Ranks(above, torch.zeros_like(above), one, 3 * one, gallery=100)
    assert recall(ranks, 5).tolist() == [1.0] * 5 + [0.0] * 15
    assert position(ranks).tolist() == list(range(1, 21))
    assert reciprocal_rank(ranks).tolist() == [1 / i for i in range(1, 21)]
