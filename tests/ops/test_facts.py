"""Sums over rows, and the pairs that belong together."""

import math

import torch

from dovetail.ops.facts import Direction, belonging, logsumexp, shares, total


def test_logsumexp_is_the_definition_for_numbers_of_any_size() -> None:
    x = torch.tensor([[1.0, 2.0, -3.0], [500.0, 501.0, -500.0]], dtype=torch.float64)
    for i, row in enumerate(x.tolist()):
        expected = max(row) + math.log(sum(math.exp(v - max(row)) for v in row))
        assert math.isclose(float(logsumexp(x, 1)[i]), expected, rel_tol=1e-14)
    torch.testing.assert_close(logsumexp(x.T, 0), logsumexp(x, 1).T)


def test_what_is_unknown_adds_nothing() -> None:
    unknown = Direction.of(torch.ones(2, 1), 1).statistics[0]
    known = torch.tensor([[3.0], [-80.0]])
    assert torch.equal(torch.logaddexp(unknown, known), known)


def test_shares_sum_to_the_whole_or_to_nothing() -> None:
    assert shares(torch.tensor([1.0, 3.0]), 0.5).flatten().tolist() == [0.125, 0.375]
    assert shares(torch.zeros(2), 0.5).flatten().tolist() == [0.0, 0.0]


def test_pairs_with_a_target() -> None:
    own = belonging(torch.tensor([[0.0, 0.25], [1.0, 0.0]]), torch.float64)
    assert own is not None and [x.tolist() for x in own.at] == [[0, 1], [1, 0]]
    assert own.targets.tolist() == [[0.25], [1.0]] and own.targets.dtype == torch.float64
    assert belonging(None, torch.float64) is None


def test_total() -> None:
    x = torch.ones(2)
    assert total([x]) is x and total([x, 2 * x, 3 * x]).tolist() == [6.0, 6.0]
