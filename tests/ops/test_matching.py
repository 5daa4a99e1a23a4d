"""The cheapest matching, against all of them."""

from itertools import permutations

import pytest
import torch

from dovetail.ops.matching import matched


def _least(costs: list[list[float]]) -> float:
    """The least sum over every way to give each row of few its own of more columns."""
    if len(costs) > len(costs[0]):
        costs = [list(column) for column in zip(*costs, strict=True)]
    ways = permutations(range(len(costs[0])), len(costs))
    return min(sum(costs[i][j] for i, j in enumerate(way)) for way in ways)


@pytest.mark.parametrize(("r", "c"), [(3, 5), (5, 3), (4, 4), (1, 1)])
def test_costs_least(r: int, c: int) -> None:
    torch.manual_seed(0)
    costs = torch.randn(6, r, c, requires_grad=True)
    found = matched(costs)
    assert found.shape == (6, r) and not found.requires_grad
    for i in range(6):
        row = (found[i] >= 0).nonzero()[:, 0]
        column = found[i][row]
        assert len(row) == min(r, c) == len(set(column.tolist()))
        assert costs[i, row, column].sum().item() == pytest.approx(_least(costs[i].tolist()), abs=1e-5)


def test_padding_takes_no_part() -> None:
    torch.manual_seed(1)
    costs = torch.randn(3, 4, 5)
    rows = torch.tensor([[1, 1, 1, 1], [0, 1, 0, 1], [1, 1, 1, 0]]).bool()
    columns = torch.tensor([[1, 0, 1, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]]).bool()
    found = matched(costs.masked_fill(~rows[:, :, None], torch.nan), rows, columns)
    for i in range(3):
        those, these = rows[i].nonzero()[:, 0], columns[i].nonzero()[:, 0]
        alone = matched(costs[i][those][:, these][None])[0]
        assert (found[i][~rows[i]] == -1).all()
        assert found[i][those].tolist() == [-1 if j < 0 else int(these[j]) for j in alone.tolist()]


def test_nothing_at_all() -> None:
    assert matched(torch.zeros(0, 3, 2)).shape == (0, 3)
    assert matched(torch.zeros(2, 3, 0)).tolist() == [[-1] * 3] * 2
    assert matched(torch.zeros(2, 0, 3)).shape == (2, 0)


def test_what_is_no_number_is_the_last_choice() -> None:
    assert matched(torch.tensor([[[torch.nan, 5.0], [torch.inf, torch.nan]]])).shape == (1, 2)
    assert matched(torch.tensor([[[torch.nan, 5.0], [2.0, 1.0]]])).tolist() == [[1, 0]]
