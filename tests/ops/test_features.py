"""Features picked out and put together."""

import torch

from dovetail.contracts import Features
from dovetail.ops.features import joined, take


def test_parts_of_different_lengths_are_padded() -> None:
    short = Features(torch.ones(1, 2), torch.ones(1, 2, 3), torch.tensor([[True, False]]))
    long = Features(torch.zeros(2, 2), torch.ones(2, 4, 3))  # no mask: all are real
    both = joined([short, long])
    assert both.tokens is not None and both.mask is not None
    assert both.tokens.sum((1, 2)).tolist() == [6, 12, 12]
    assert both.mask.tolist() == [[True, False, False, False], [True] * 4, [True] * 4]
    assert joined([Features(torch.ones(1, 2)), Features(torch.zeros(1, 2))]).pooled.tolist() == [[1, 1], [0, 0]]


def test_rows_are_taken_with_all_that_is_theirs() -> None:
    features = Features(
        torch.arange(6.0).view(3, 2), torch.arange(12.0).view(3, 2, 2), torch.tensor([[True, False]] * 3), (1, 2)
    )
    some = take(features, torch.tensor([2, 0]))
    assert some.tokens is not None and some.mask is not None and some.grid == (1, 2)
    assert some.pooled.tolist() == [[4, 5], [0, 1]] and some.tokens[:, 0].tolist() == [[8, 9], [0, 1]]
    assert some.mask.tolist() == [[True, False]] * 2
    assert take(Features(features.pooled), torch.tensor([1])).tokens is None
