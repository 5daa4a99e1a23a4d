"""Regions of a batch: their places, their frames, and the patches within."""

from dataclasses import replace

import pytest
import torch

from dovetail.contracts import Features
from dovetail.ops.regions import framed, places, pooled, regions_of
from tests.contracts.samples import batch

OWNER = torch.tensor([2, 0, 2, 3, 0, 2])


def test_a_batch_without_regions_has_none() -> None:
    data = batch()
    assert regions_of(data) is data.regions
    none = regions_of(replace(data, regions=None))
    assert none.boxes.shape == (0, 4) and none.owner.shape == (0,) and len(none.phrases.ids) == 0


def test_places_and_frames() -> None:
    assert places(OWNER).tolist() == [0, 0, 1, 0, 1, 2]
    frame, real = framed(torch.arange(6.0)[:, None], OWNER, 5)
    assert frame[..., 0].tolist() == [[1, 4, 0], [0, 0, 0], [0, 2, 5], [3, 0, 0], [0, 0, 0]]
    assert real.sum(1).tolist() == [2, 0, 3, 1, 0]
    frame, real = framed(torch.zeros(0, 4), OWNER[:0], 2)
    assert frame.shape == (2, 0, 4) and real.shape == (2, 0)


def _features(rows: int = 4, cols: int = 6) -> Features:
    tokens = torch.randn(2, rows * cols, 3, dtype=torch.float64, requires_grad=True)
    return Features(torch.zeros(2, 3), tokens, grid=(rows, cols))


def test_boxes_on_the_edges_of_patches_are_their_means() -> None:
    """A box of two by two patches has its samples in the middle of quarters, where only its own patches matter."""
    features = _features()
    assert features.tokens is not None
    flat = torch.zeros(2, 24, 3, dtype=torch.float64)
    flat[:, :, 0], flat[:, :, 1] = torch.arange(24) % 6, torch.arange(24) // 6  # where each patch lies
    found = pooled(
        Features(features.pooled, flat, grid=(4, 6)), torch.tensor([[1 / 6, 1 / 4, 3 / 6, 3 / 4]]), OWNER[1:2]
    )
    torch.testing.assert_close(found, torch.tensor([[1.5, 1.5, 0.0]], dtype=torch.float64))
    one = pooled(features, torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([1]))
    assert one.shape == (1, 3)
    one.sum().backward()
    assert features.tokens.grad is not None
    assert (features.tokens.grad[0] == 0).all() and (features.tokens.grad[1] > 0).all()


def test_no_regions_have_a_slope_of_zero() -> None:
    features = _features()
    found = pooled(features, torch.zeros(0, 4), OWNER[:0])
    found.sum().backward()
    assert found.shape == (0, 3) and features.tokens is not None and features.tokens.grad is not None


def test_in_half_precision() -> None:
    features = _features()
    assert features.tokens is not None
    half = replace(features, tokens=features.tokens.detach().bfloat16())
    boxes = torch.tensor([[0.1, 0.2, 0.6, 0.9]])
    with torch.autocast("cpu", torch.bfloat16):
        found = pooled(half, boxes, torch.tensor([0]))
    torch.testing.assert_close(found.double(), pooled(features, boxes, torch.tensor([0])), rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ("tokens", "message"), [(None, "no tokens"), (torch.zeros(2, 5, 3), r"5 tokens and grid=\(2, 2\)")]
)
def test_tokens_that_are_no_grid_are_named(tokens: torch.Tensor | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pooled(Features(torch.zeros(2, 3), tokens, grid=(2, 2)), torch.zeros(1, 4), torch.tensor([0]))
