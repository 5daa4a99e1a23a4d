"""The patches that a text speaks of."""

import pytest
import torch

from dovetail.ops.grouping import grouped


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
