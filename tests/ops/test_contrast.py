"""The engine itself, with a loss and similarities made for the test: what it computes and what it keeps in memory."""

import pytest
import torch
from torch import Tensor

from dovetail.contracts import Features
from dovetail.ops.contrast import Side, contrast
from tests.processes import run


class Squares:
    """The sum over a row of (score - target)^2, which counts every column and tells targets from each other."""

    initial_scale, initial_bias = 1.0, None

    def rows(self, scores: Tensor, targets: Tensor) -> Tensor:
        return ((scores - targets) ** 2).sum(1)


class Products:
    symmetric, tokens = True, False

    def __call__(self, rows: Features, cols: Features) -> Tensor:
        return rows.pooled @ cols.pooled.T


class BestTokens:
    """For each token of a row its best match in the column, on average: neither symmetric nor blind to tokens."""

    symmetric, tokens = False, True

    def __call__(self, rows: Features, cols: Features) -> Tensor:
        assert rows.tokens is not None and rows.mask is not None and cols.tokens is not None and cols.mask is not None
        scores = torch.einsum("rnd,cmd->rcnm", rows.tokens, cols.tokens)
        best = scores.masked_fill(~cols.mask[None, :, None, :], -1e9).amax(3) * rows.mask[:, None, :]
        return best.sum(2) / rows.mask.sum(1)[:, None]


def _side(ids: list[int], weights: list[float], n: int, dtype: torch.dtype = torch.float64) -> Side:
    b = len(ids)
    mask = torch.arange(n)[None, :] <= torch.arange(b)[:, None] % n
    features = Features(torch.randn(b, 3, dtype=dtype), torch.randn(b, n, 3, dtype=dtype), mask)
    return Side(features, torch.tensor(ids), torch.tensor(weights, dtype=dtype))


def _pair() -> tuple[Side, Side]:
    torch.manual_seed(1)
    return _side([5, 6, 5], [1.0, 0.5, 0.0], 2), _side([5, 5, 6, -1], [1.0, 2.0, 1.0, 0.0], 3)


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


@pytest.mark.parametrize("block", [1, 5, 1 << 24])
def test_a_similarity_with_a_direction_is_asked_from_both_sides(block: int) -> None:
    left, right = _pair()
    there = BestTokens()(left.features, right.features)
    back = BestTokens()(right.features, left.features)
    targets = (left.ids[:, None] == right.ids[None, :]).double()
    rows = (Squares().rows(there, targets) * left.weights).sum() / left.weights.sum()
    cols = (Squares().rows(back, targets.T) * right.weights).sum() / right.weights.sum()
    found = contrast(left, right, BestTokens(), Squares(), torch.tensor(1.0), block=block)
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
    left, right = (_side(list(range(4)), [1.0] * 4, 2, torch.float32) for _ in range(2))
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
    for block in (1, 1 << 24):
        contrast(
            Side(Features(pooled), left.ids, left.weights), right, Products(), Squares(), torch.tensor(1.0), block=block
        ).backward()
    assert pooled.grad is not None and right.features.pooled.grad is None


def test_blocks_keep_no_scores_for_the_backward_pass() -> None:
    n, block = 300, 3000
    left, right = (_side(list(range(n)), [1.0] * n, 2, torch.float32) for _ in range(2))
    left.features.pooled.requires_grad_()

    def kept(block: int) -> int:
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda x: (sizes.append(x.numel()), x)[1], lambda x: x):
            contrast(left, right, Products(), Squares(), torch.tensor(1.0, requires_grad=True), block=block)
        return max(sizes, default=0)

    assert kept(n * n) >= n * n
    assert kept(block) <= block


def test_blocks_hold_one_block_of_scores_at_a_time() -> None:
    sizes: list[int] = []

    class Watched(Products):
        def __call__(self, rows: Features, cols: Features) -> Tensor:
            sizes.append(len(rows.pooled) * len(cols.pooled))
            return super().__call__(rows, cols)

    left, right = (_side(list(range(50)), [1.0] * 50, 2) for _ in range(2))
    left.features.pooled.requires_grad_()
    contrast(left, right, Watched(), Squares(), torch.tensor(1.0), block=200).backward()
    assert max(sizes) <= 200
    assert sum(sizes) == 4 * 50 * 50, "both directions, each once forward and once again for the gradient"
