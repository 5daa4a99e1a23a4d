"""Sums over rows, and the pairs that belong together."""

import math

import pytest
import torch

from dovetail.ops.facts import Direction, logsumexp, shares, softmax, total


def _matrix(spread: float) -> torch.Tensor:
    """Rows and columns that lie further and further apart with `spread`."""
    torch.manual_seed(0)
    return torch.randn(4, 3, dtype=torch.float64) + spread * torch.tensor([[0.0], [1.0], [-3.0], [0.5]])


def _exact(numbers: list[float]) -> float:
    return max(numbers) + math.log(sum(math.exp(v - max(numbers)) for v in numbers))


@pytest.mark.parametrize("spread", [0.0, 20.0, 300.0])
@pytest.mark.parametrize("dtype, close", [(torch.float64, 1e-13), (torch.float32, 1e-5)])
def test_logsumexp_is_the_definition_for_numbers_of_any_size(spread: float, dtype: torch.dtype, close: float) -> None:
    x = _matrix(spread).to(dtype)
    along, across = logsumexp(x, (1, 0))
    torch.testing.assert_close(logsumexp(x, (1,))[0], along, rtol=close, atol=close)
    for found, lists in ((along, x.tolist()), (across, x.T.tolist())):
        expected = torch.tensor([[_exact(numbers)] for numbers in lists], dtype=dtype)
        torch.testing.assert_close(found, expected, rtol=close, atol=close)


@pytest.mark.parametrize("spread", [0.0, 20.0, 300.0])
@pytest.mark.parametrize("dtype, close", [(torch.float64, 1e-13), (torch.float32, 1e-5)])
def test_softmax_is_the_definition(spread: float, dtype: torch.dtype, close: float) -> None:
    x, (a, b) = _matrix(spread).to(dtype), (torch.rand(4, 1, dtype=dtype), torch.rand(1, 3, dtype=dtype))
    rows, cols = logsumexp(x, (1, 0))
    for statistics, slopes in (([rows], [a]), ([rows, cols.T], [a, b])):
        expected = sum((x.double() - s).exp() * w for s, w in zip(statistics, slopes, strict=True))
        torch.testing.assert_close(softmax(x, statistics, slopes).double(), expected, rtol=10 * close, atol=close)


def test_what_is_unknown_adds_nothing() -> None:
    unknown = Direction.of(torch.ones(2, 1), 1).statistics[0]
    known = torch.tensor([[3.0], [-80.0]])
    assert torch.equal(torch.logaddexp(unknown, known), known)


def test_shares_sum_to_the_whole_or_to_nothing() -> None:
    assert shares(torch.tensor([1.0, 3.0]), 0.5).flatten().tolist() == [0.125, 0.375]
    assert shares(torch.zeros(2), 0.5).flatten().tolist() == [0.0, 0.0]


def test_total() -> None:
    x = torch.ones(2)
    assert total([x]) is x and total([x, 2 * x, 3 * x]).tolist() == [6.0, 6.0]
