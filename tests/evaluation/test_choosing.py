"""The highest score wins; equal ones share."""

import pytest
import torch

from dovetail.evaluation.choosing import chosen


def test_the_highest_wins() -> None:
    found = chosen(torch.tensor([[0.1, 0.9, 0.3], [-1.0, -3.0, -2.0]]))
    assert found.tolist() == [[0, 1, 0], [1, 0, 0]]


def test_equal_scores_share() -> None:
    found = chosen(torch.tensor([[0.5, 0.5, 0.1, 0.5], [0.0, 0.0, 0.0, 0.0]]))
    assert found.tolist() == [pytest.approx([1 / 3, 1 / 3, 0, 1 / 3]), [0.25] * 4]


def test_a_difference_of_rounding_is_none() -> None:
    assert chosen(torch.tensor([[0.3, 0.3 * (1 + 1e-7)]])).tolist() == [[0.5, 0.5]]
    assert chosen(torch.tensor([[0.3, 0.3 * (1 + 1e-5)]])).tolist() == [[0, 1]]


def test_scores_that_are_none() -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        chosen(torch.tensor([[0.0, torch.nan]]))
