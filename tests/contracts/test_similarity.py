"""What every Similarity must do."""

from dataclasses import replace

import pytest
import torch

from dovetail.contracts import Features, Similarity
from dovetail.ops.similarity import compare
from tests.contracts.samples import Make, features, samples

SIMILARITIES = pytest.mark.parametrize("make", samples(Similarity))
EXACT = {"rtol": 1e-10, "atol": 1e-10}


@SIMILARITIES
def test_gives_a_score_for_every_row_and_column(make: Make) -> None:
    for r, c in ((3, 4), (1, 1), (2, 0), (0, 2)):
        assert compare(make(), features(r), features(c)).shape == (r, c)
    assert compare(make(), features(2, n=3), features(3, n=7)).shape == (2, 3), (
        "images and texts have different numbers of tokens"
    )


@SIMILARITIES
def test_says_rightly_what_it_is(make: Make) -> None:
    similarity, a, b = make(), features(3), features(4, n=7)
    assert isinstance(similarity.symmetric, bool) and isinstance(similarity.tokens, bool)
    if similarity.symmetric:
        torch.testing.assert_close(compare(similarity, a, b), compare(similarity, b, a).T, **EXACT)
    if not similarity.tokens:
        only_pooled = compare(similarity, Features(a.pooled), Features(b.pooled))
        torch.testing.assert_close(compare(similarity, a, b), only_pooled, **EXACT)


@SIMILARITIES
def test_padding_is_nothing(make: Make) -> None:
    similarity, a, b = make(), features(3), features(4, n=7)
    expected = compare(similarity, a, b)
    torch.testing.assert_close(compare(similarity, _padded(a), b), expected, **EXACT)
    torch.testing.assert_close(compare(similarity, a, _padded(b)), expected, **EXACT)
    whole = features(3)
    unmasked, masked = replace(whole, mask=None), replace(whole, mask=torch.ones(3, 5, dtype=torch.bool))
    torch.testing.assert_close(compare(similarity, unmasked, b), compare(similarity, masked, b), **EXACT)


def _padded(f: Features) -> Features:
    assert f.tokens is not None and f.mask is not None
    noise = 10 * torch.randn(f.tokens.shape[0], 3, f.tokens.shape[2], dtype=f.tokens.dtype)
    tokens = torch.where(f.mask[..., None], f.tokens, 100.0)
    mask = torch.cat([f.mask, f.mask.new_zeros(noise.shape[:2])], 1)
    return Features(f.pooled, torch.cat([tokens, noise], 1), mask, f.grid)


@SIMILARITIES
def test_things_know_nothing_of_one_another(make: Make) -> None:
    similarity, a, b = make(), features(3), features(4)
    rows = torch.cat([compare(similarity, _one(a, i), b) for i in range(3)])
    cols = torch.cat([compare(similarity, a, _one(b, j)) for j in range(4)], 1)
    torch.testing.assert_close(rows, compare(similarity, a, b), **EXACT)
    torch.testing.assert_close(cols, compare(similarity, a, b), **EXACT)


def _one(f: Features, i: int) -> Features:
    assert f.tokens is not None and f.mask is not None
    return Features(f.pooled[i : i + 1], f.tokens[i : i + 1], f.mask[i : i + 1], f.grid)


@SIMILARITIES
@pytest.mark.parametrize("size", [0.0, 1e-12, 1e4])
def test_is_finite_for_vectors_of_any_length(make: Make, size: float) -> None:
    a, b = features(3, dtype=torch.float32), features(4, dtype=torch.float32)
    small = Features((size * a.pooled).requires_grad_(), (size * a.tokens).requires_grad_(), a.mask)
    scores = compare(make(), small, b)
    scores.sum().backward()
    assert scores.isfinite().all()
    for leaf in (small.pooled, small.tokens):
        assert leaf is not None and (leaf.grad is None or leaf.grad.isfinite().all())


@SIMILARITIES
def test_the_gradient_is_that_of_the_value(make: Make) -> None:
    a, b = features(2, n=3, width=4), features(3, n=3, width=4)
    leaves = [x.requires_grad_() for x in (a.pooled, a.tokens, b.pooled, b.tokens) if x is not None]

    def scores(ap: torch.Tensor, at: torch.Tensor, bp: torch.Tensor, bt: torch.Tensor) -> torch.Tensor:
        return compare(make(), Features(ap, at, a.mask), Features(bp, bt, b.mask))

    assert torch.autograd.gradcheck(scores, leaves)


@SIMILARITIES
def test_an_item_is_most_like_itself(make: Make) -> None:
    a = features(6, width=32)
    assert torch.equal(compare(make(), a, a).argmax(1), torch.arange(6))
