"""What every PairLoss must do."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from dovetail.contracts import PairLoss, RowFacts
from dovetail.ops.contrast import row_losses
from tests.contracts.samples import Make, samples

LOSSES = pytest.mark.parametrize("make", samples(PairLoss))
TARGETS = {
    "no positive": torch.zeros(3, 4),
    "one positive": torch.eye(3, 4),
    "several positives": torch.tensor([[1.0, 1, 0, 0], [0, 1, 1, 1], [1, 0, 0, 1]]),
    "all positive": torch.ones(3, 4),
    "mixed": torch.tensor([[0.0, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1]]),
    "one column, positive": torch.ones(3, 1),
    "one column, negative": torch.zeros(3, 1),
    "no rows": torch.zeros(0, 4),
}
MIXED = torch.tensor([[1.0, 0, 0, 0, 0], [0, 1, 1, 0, 0], [1, 0, 0, 1, 1], [0, 0, 0, 0, 1]], dtype=torch.float64)


def _scores(like: Tensor) -> Tensor:
    return (2 * torch.randn(like.shape, dtype=torch.float64)).to(like.dtype)


@LOSSES
def test_states_where_scale_and_bias_start(make: Make) -> None:
    loss = make()
    assert loss.initial_scale > 0
    assert loss.initial_bias is None or isinstance(loss.initial_bias, float | int)


@LOSSES
def test_every_pair_is_asked_by_itself(make: Make) -> None:
    """Tiles of any shape give what the whole matrix gives, so neither method may look beyond an entry and its row's
    facts."""
    loss, scores = make(), _scores(MIXED)
    exponents = loss.exponents(scores, MIXED)
    statistics = tuple(e.logsumexp(1, keepdim=True) for e in exponents)
    facts = RowFacts(MIXED.sum(1, keepdim=True), statistics)
    costs = loss.costs(scores, MIXED, facts)
    assert costs.shape == MIXED.shape and all(e.shape == MIXED.shape for e in exponents)
    for i, j in product(range(4), range(5)):
        one = slice(i, i + 1), slice(j, j + 1)
        row = RowFacts(facts.total[i : i + 1], tuple(x[i : i + 1] for x in statistics))
        torch.testing.assert_close(loss.costs(scores[one], MIXED[one], row), costs[one], rtol=1e-12, atol=1e-12)
        for alone, e in zip(loss.exponents(scores[one], MIXED[one]), exponents, strict=True):
            torch.testing.assert_close(alone, e[one], rtol=1e-12, atol=1e-12)


@LOSSES
def test_no_targets_are_targets_of_nothing(make: Make) -> None:
    loss, scores = make(), _scores(MIXED)
    for found, expected in zip(loss.exponents(scores, None), loss.exponents(scores, 0 * MIXED), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    facts = RowFacts(0 * scores[:, :1], tuple(e.logsumexp(1, keepdim=True) for e in loss.exponents(scores, None)))
    found, expected = (loss.costs(scores, targets, facts) for targets in (None, 0 * MIXED))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@LOSSES
def test_says_rightly_whether_it_is_pairwise(make: Make) -> None:
    loss, scores = make(), _scores(MIXED)
    exponents = loss.exponents(scores, MIXED)
    if loss.pairwise:
        assert exponents == ()
        other = RowFacts(torch.full((4, 1), 17.0, dtype=torch.float64), ())
        assert torch.equal(loss.costs(scores, MIXED, other), loss.costs(scores, MIXED, RowFacts(0 * other.total, ())))
    else:
        facts = RowFacts(MIXED.sum(1, keepdim=True), tuple(e.logsumexp(1, keepdim=True) for e in exponents))
        assert loss.costs(scores, MIXED, facts)[MIXED == 0].eq(0).all(), "only what belongs together costs anything"


@LOSSES
def test_rows_know_nothing_of_one_another(make: Make) -> None:
    loss, scores = make(), _scores(MIXED)
    together = row_losses(loss, scores, MIXED)
    alone = torch.cat([row_losses(loss, scores[i : i + 1], MIXED[i : i + 1]) for i in range(len(MIXED))])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)


@LOSSES
def test_the_order_of_the_columns_is_nothing(make: Make) -> None:
    loss, scores, order = make(), _scores(MIXED), torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(
        row_losses(loss, scores[:, order], MIXED[:, order]), row_losses(loss, scores, MIXED), rtol=1e-12, atol=1e-12
    )


@LOSSES
@pytest.mark.parametrize("targets", TARGETS.values(), ids=TARGETS)
def test_the_gradient_is_that_of_the_value(make: Make, targets: Tensor) -> None:
    targets = targets.double()
    scores = _scores(targets).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: row_losses(make(), s, targets), (scores,))


@LOSSES
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("size", [0.0, 1.0, 1e4])
@pytest.mark.parametrize("targets", TARGETS.values(), ids=TARGETS)
def test_is_finite(make: Make, targets: Tensor, size: float, dtype: torch.dtype) -> None:
    targets = targets.to(dtype)
    signs = torch.where(torch.rand(targets.shape) < 0.5, -1.0, 1.0).to(dtype)
    for scores in (size * signs, torch.full_like(targets, size), torch.full_like(targets, -size)):
        scores.requires_grad_()
        rows = row_losses(make(), scores, targets)
        rows.sum().backward()
        assert rows.shape == targets.shape[:1] and rows.dtype == dtype
        assert rows.isfinite().all() and _gradient(scores).isfinite().all()


@LOSSES
@pytest.mark.parametrize("targets", TARGETS.values(), ids=TARGETS)
def test_single_precision_is_enough(make: Make, targets: Tensor) -> None:
    scores = 10 * _scores(targets)
    found = _value_and_gradient(make(), scores, targets)
    exact = _value_and_gradient(make(), scores.double(), targets.double())
    for single, double in zip(found, exact, strict=True):
        torch.testing.assert_close(single.double(), double, rtol=1e-5, atol=1e-5)


@LOSSES
def test_is_lower_when_the_positives_score_higher(make: Make) -> None:
    loss = make()
    for _ in range(5):
        scores = _scores(MIXED)
        before, after = row_losses(loss, scores, MIXED), row_losses(loss, scores + MIXED, MIXED)
        assert (after <= before).all() and after.sum() < before.sum()


@LOSSES
def test_is_higher_when_the_negatives_score_higher(make: Make) -> None:
    loss = make()
    for _ in range(5):
        scores = _scores(MIXED)
        before, after = row_losses(loss, scores, MIXED), row_losses(loss, scores + (1 - MIXED), MIXED)
        assert (after >= before).all() and after.sum() > before.sum()


@LOSSES
def test_leaves_its_arguments_alone(make: Make) -> None:
    scores, targets = _scores(MIXED), MIXED.clone()
    kept = scores.clone()
    row_losses(make(), scores, targets)
    assert torch.equal(scores, kept) and torch.equal(targets, MIXED)


def _gradient(x: Tensor) -> Tensor:
    assert x.grad is not None
    return x.grad


def _value_and_gradient(loss: Any, scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    scores = scores.detach().clone().requires_grad_()
    rows = row_losses(loss, scores, targets)
    rows.sum().backward()
    return rows.detach(), _gradient(scores)
