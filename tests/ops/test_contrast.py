"""The engine itself, with a loss and similarities made for the test: what it computes and what it keeps in memory."""

import pytest
import torch
from torch import Tensor, nn

from dovetail.catalogue import build
from dovetail.contracts import Features, RowFacts
from dovetail.ops.contrast import contrast, row_losses
from dovetail.ops.sides import Pairs, Side
from tests.processes import run


class Squares:
    """The sum over a row of (score - target)^2, which counts every column and tells targets from each other."""

    initial_scale, initial_bias = 1.0, None

    pairwise = True

    def exponents(self, scores: Tensor, targets: Tensor | None) -> tuple[Tensor, ...]:
        return ()

    def costs(self, scores: Tensor, targets: Tensor | None, row: RowFacts) -> Tensor:
        return (scores - (0 if targets is None else targets)) ** 2


class Products:
    symmetric, tokens = True, False

    def prepare(self, features: Features) -> Features:
        return features

    def scores(self, rows: Features, cols: Features) -> Tensor:
        return rows.pooled @ cols.pooled.T


class BestTokens:
    """For each token of a row its best match in the column, on average: neither symmetric nor blind to tokens."""

    symmetric, tokens = False, True

    def prepare(self, features: Features) -> Features:
        return features

    def scores(self, rows: Features, cols: Features) -> Tensor:
        assert rows.tokens is not None and rows.mask is not None and cols.tokens is not None and cols.mask is not None
        scores = torch.einsum("rnd,cmd->rcnm", rows.tokens, cols.tokens)
        best = scores.masked_fill(~cols.mask[None, :, None, :], -1e9).amax(3) * rows.mask[:, None, :]
        return best.sum(2) / rows.mask.sum(1)[:, None]


def side(ids: list[int], weights: list[float], n: int, dtype: torch.dtype = torch.float64) -> Side:
    b = len(ids)
    mask = torch.arange(n)[None, :] <= torch.arange(b)[:, None] % n
    features = Features(torch.randn(b, 3, dtype=dtype), torch.randn(b, n, 3, dtype=dtype), mask)
    return Side(features, torch.tensor(ids), torch.tensor(weights, dtype=dtype))


def _pair() -> tuple[Side, Side]:
    torch.manual_seed(1)
    return side([5, 6, 5], [1.0, 0.5, 0.0], 2), side([5, 5, 6, -1], [1.0, 2.0, 1.0, 0.0], 3)


def test_equals_its_definition() -> None:
    left, right = _pair()
    found = contrast(left, right, Products(), Squares(), torch.tensor(2.0), torch.tensor(-0.5))
    mean = 0.0
    for rows, cols in ((left, right), (right, left)):
        weighted = 0.0
        for i, x in enumerate(rows.features.pooled.tolist()):
            for j, y in enumerate(cols.features.pooled.tolist()):
                score = 2.0 * sum(p * q for p, q in zip(x, y, strict=True)) - 0.5
                target = 1.0 if int(rows.ids[i]) == int(cols.ids[j]) else 0.0
                weighted += float(rows.weights[i]) * (score - target) ** 2
        mean += weighted / float(rows.weights.sum()) / 2
    assert float(found) == pytest.approx(mean, abs=1e-12)


def test_targets_may_be_less_exact_than_the_features() -> None:
    left, right = _pair()

    def halves(rows: Side, cols: Side) -> Pairs | None:
        return Pairs.of((rows.ids[:, None] == cols.ids[None, :]).to(torch.bfloat16) / 2)

    def exact(rows: Side, cols: Side) -> Pairs | None:
        return Pairs.of((rows.ids[:, None] == cols.ids[None, :]).double() / 2)

    found, expected = (
        contrast(left, right, Products(), build("infonce"), torch.tensor(2.0), targets=t) for t in (halves, exact)
    )
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("tile", [1, 5, 1 << 24])
def test_a_similarity_with_a_direction_is_asked_from_both_sides(tile: int) -> None:
    left, right = _pair()
    there = BestTokens().scores(left.features, right.features)
    back = BestTokens().scores(right.features, left.features)
    targets = (left.ids[:, None] == right.ids[None, :]).double()
    rows = (row_losses(Squares(), there, targets) * left.weights).sum() / left.weights.sum()
    cols = (row_losses(Squares(), back, targets.T) * right.weights).sum() / right.weights.sum()
    found = contrast(left, right, BestTokens(), Squares(), torch.tensor(1.0), tile=tile)
    torch.testing.assert_close(found, (rows + cols) / 2)


def _share(rank: int) -> tuple[Tensor, Tensor]:
    left, right = _pair()
    part = slice(0, 1) if rank == 0 else slice(1, None)
    shortest = 1 if rank == 0 else 2  # a process pads only to its own longest text
    tokens = left.features.tokens[part, :shortest].clone().requires_grad_()
    mine = Features(left.features.pooled[part], tokens, left.features.mask[part, :shortest])
    r = right.features
    texts = Side(Features(r.pooled[part], r.tokens[part], r.mask[part]), right.ids[part], right.weights[part])
    images = Side(mine, left.ids[part], left.weights[part])
    value = contrast(images, texts, BestTokens(), Squares(), torch.tensor(1.0))
    value.backward()
    return value.detach(), tokens.grad


def test_token_similarities_over_processes_with_texts_of_different_lengths() -> None:
    left, right = _pair()
    tokens = left.features.tokens.clone().requires_grad_()
    whole = Side(Features(left.features.pooled, tokens, left.features.mask), left.ids, left.weights)
    value = contrast(whole, right, BestTokens(), Squares(), torch.tensor(1.0))
    value.backward()
    (first, gradient), (second, rest) = run(_share, 2)
    torch.testing.assert_close((first + second) / 2, value.detach())
    torch.testing.assert_close(gradient / 2, tokens.grad[:1, :1])
    torch.testing.assert_close(rest / 2, tokens.grad[1:])


def test_half_precision_features_are_compared_in_single_precision() -> None:
    left, right = (side(list(range(4)), [1.0] * 4, 2, torch.float32) for _ in range(2))
    half = [Side(Features(s.features.pooled.bfloat16()), s.ids, s.weights) for s in (left, right)]
    full = [Side(Features(s.features.pooled.float()), s.ids, s.weights) for s in half]
    expected = contrast(*full, Products(), Squares(), torch.tensor(3.0))
    with torch.autocast("cpu", torch.bfloat16):
        found = contrast(*half, Products(), Squares(), torch.tensor(3.0))
        inside = contrast(*full, Products(), Squares(), torch.tensor(3.0))
    assert found.dtype == torch.float32
    assert found == expected == inside


def test_a_side_that_does_not_learn_costs_nothing() -> None:
    left, right = _pair()
    pooled = left.features.pooled.clone().requires_grad_()
    for tile in (1, 1 << 24):
        mine = Side(Features(pooled), left.ids, left.weights)
        contrast(mine, right, Products(), Squares(), torch.tensor(1.0), tile=tile).backward()
    assert pooled.grad is not None and right.features.pooled.grad is None


def test_without_gradients_the_value_is_the_same() -> None:
    left, right = _pair()
    for loss in (Squares(), LearntMargin()):
        learning = contrast(left, right, Products(), loss, torch.tensor(1.0, requires_grad=True), tile=2)
        with torch.no_grad():
            value = contrast(left, right, Products(), loss, torch.tensor(1.0, requires_grad=True), tile=2)
        assert learning.requires_grad and not value.requires_grad
        torch.testing.assert_close(value, learning.detach())


class LearntMargin(nn.Module):
    """A softmax loss whose positives must be ahead by a margin, which learns as the model does."""

    initial_scale, initial_bias, pairwise = 1.0, None, False

    def __init__(self) -> None:
        super().__init__()
        self.margin = nn.Parameter(torch.tensor(0.3, dtype=torch.float64))

    def exponents(self, scores: Tensor, targets: Tensor | None) -> tuple[Tensor, ...]:
        return (scores if targets is None else scores - self.margin * targets,)

    def costs(self, scores: Tensor, targets: Tensor | None, row: RowFacts) -> Tensor:
        assert targets is not None
        return targets * (row.statistics[0] - scores + self.margin)


class Weighted(nn.Module):
    """Products weighted by numbers that learn, before and after the vectors are prepared."""

    symmetric, tokens = True, False

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Parameter(torch.rand(3, dtype=torch.float64))
        self.after = nn.Parameter(torch.rand(3, dtype=torch.float64))

    def prepare(self, features: Features) -> Features:
        return Features(features.pooled * self.before)

    def scores(self, rows: Features, cols: Features) -> Tensor:
        return (rows.pooled * self.after) @ cols.pooled.T


def _learnt(tile: int | None) -> list[Tensor]:
    torch.manual_seed(2)
    left, right, loss, similarity = *_pair(), LearntMargin(), Weighted()
    if tile is not None:
        contrast(left, right, similarity, loss, torch.tensor(2.0), tile=tile).backward()
    else:
        a, b = (similarity.prepare(s.features) for s in (left, right))
        scores, targets = 2 * similarity.scores(a, b), (left.ids[:, None] == right.ids[None, :]).double()
        there = row_losses(loss, scores, targets) @ left.weights / left.weights.sum()
        back = row_losses(loss, scores.T, targets.T) @ right.weights / right.weights.sum()
        ((there + back) / 2).backward()
    return [p.grad for p in (*loss.parameters(), *similarity.parameters()) if p.grad is not None]


@pytest.mark.parametrize("tile", [1, 5, 1 << 24])
def test_the_loss_and_the_similarity_may_have_parameters_of_their_own(tile: int) -> None:
    found, expected = _learnt(tile), _learnt(None)
    assert len(found) == len(expected) == 3
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_the_gradients_can_be_had_once() -> None:
    left, right = _pair()
    left.features.pooled.requires_grad_()
    value = contrast(left, right, Products(), Squares(), torch.tensor(1.0))
    value.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="once"):
        value.backward()
