"""The patches that a text speaks of."""

import itertools
import math

import pytest
import torch

from dovetail.ops.grouping import assigned, grouped, told_apart
from dovetail.ops.similarity import cosine


@pytest.mark.parametrize("threshold", [None, 0.0, 0.6])
def test_equals_its_definition(threshold: float | None) -> None:
    texts, patches = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(2, 5, 4, dtype=torch.float64)
    real = torch.tensor([[True] * 5, [True, True, True, False, False]])
    found = grouped(texts, patches, real, threshold)
    for b, (text, patch, n) in enumerate(zip(texts.tolist(), patches.tolist(), (5, 3), strict=True)):
        for k, y in enumerate(text):
            near = [sum(p * q for p, q in zip(y, v, strict=True)) for v in patch[:n]]
            share = [(a - min(near)) / (max(near) - min(near)) for a in near]
            kept = [s if s >= (1 / n if threshold is None else threshold) else 0.0 for s in share]
            wanted = [sum(w * v[d] for w, v in zip(kept, patch[:n], strict=True)) / sum(kept) for d in range(4)]
            assert found[b, k].tolist() == pytest.approx(wanted, abs=1e-12)


def test_a_group_is_of_the_patches_that_are_like_the_caption() -> None:
    patches, real = torch.eye(4)[None, :3], torch.ones(1, 3, dtype=torch.bool)
    texts = torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.2]])
    found = grouped(texts[None], patches, real)[0]
    wanted = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    torch.testing.assert_close(found, wanted)


def test_padding_is_no_patch() -> None:
    patches, texts = torch.randn(2, 4, 5), torch.randn(2, 3, 5)
    real = torch.tensor([[True, True, True, False]] * 2)
    torch.testing.assert_close(
        grouped(texts, patches, real), grouped(texts, patches[:, :3], real[:, :3]), rtol=1e-5, atol=1e-6
    )


def test_a_single_patch_is_the_group() -> None:
    patches, texts = torch.randn(1, 1, 5, requires_grad=True), torch.randn(1, 2, 5, requires_grad=True)
    found = grouped(texts, patches, torch.ones(1, 1, dtype=torch.bool))
    found.sum().backward()
    torch.testing.assert_close(found, patches.expand(1, 2, 5))
    assert texts.grad is not None and patches.grad is not None
    assert texts.grad.isfinite().all() and patches.grad.isfinite().all()


def test_patches_that_are_all_alike_count_the_same() -> None:
    texts, real = torch.randn(2, 3, 4), torch.ones(2, 5, dtype=torch.bool)
    alike = torch.ones(2, 5, 4).requires_grad_()
    found = grouped(texts, alike, real)
    torch.testing.assert_close(found, torch.ones(2, 3, 4))
    found.sum().backward()
    assert alike.grad is not None and alike.grad.isfinite().all()


@pytest.mark.parametrize(("words", "patches"), [(3, 5), (4, 4), (5, 3), (5, 2)])
def test_words_share_out_the_patches_as_the_best_of_all_ways_does(words: int, patches: int) -> None:
    torch.manual_seed(0)
    said, seen = torch.randn(4, words + 2, 3, dtype=torch.float64), torch.randn(4, patches, 3, dtype=torch.float64)
    real = torch.arange(words + 2)[None, :] < torch.tensor([words, words, 1, 0])[:, None]
    found = assigned(said, seen, real)
    for t, count in enumerate((words, words, 1, 0)):
        most = -(-count // patches)
        alike = cosine(said[t, :count], seen[t])
        ways = itertools.product(range(patches), repeat=count)
        allowed = [way for way in ways if all(way.count(p) <= most for p in range(patches))]
        best = max(allowed, key=lambda way: sum(float(alike[i, p]) for i, p in enumerate(way)))
        assert torch.equal(found[t, :count], seen[t, list(best)])


def test_which_patch_a_word_has_does_not_depend_on_the_padding() -> None:
    said, seen, real = torch.randn(1, 9, 3), torch.randn(1, 4, 3), torch.arange(9)[None, :] < 3
    assert torch.equal(assigned(said, seen, real)[:, :3], assigned(said[:, :3], seen, real[:, :3]))
    assert len(assigned(said, seen, real)[0, :3].unique(dim=0)) == 3, "a patch each"


def test_words_are_told_apart_within_their_text() -> None:
    torch.manual_seed(0)
    groups, words = torch.randn(2, 4, 3, dtype=torch.float64), torch.randn(2, 4, 3, dtype=torch.float64)
    real = torch.tensor([[True] * 4, [True, True, False, False]])
    found = told_apart(groups, words, real, torch.tensor(3.0, dtype=torch.float64))
    for t, count in enumerate((4, 2)):
        scores = (3 * cosine(groups[t], words[t])).tolist()
        for k in range(count):
            there = math.log(sum(math.exp(scores[k][j]) for j in range(count))) - scores[k][k]
            back = math.log(sum(math.exp(scores[j][k]) for j in range(count))) - scores[k][k]
            assert found[t, k].item() == pytest.approx((there + back) / 2, abs=1e-12)
