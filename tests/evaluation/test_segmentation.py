"""Segmentation from patches against loops over pixels."""

import pytest
import torch
from torch import Tensor

from dovetail.contracts import Features
from dovetail.data.records import DataError
from dovetail.evaluation.segmentation import class_maps, group_maps, jaccard, overlaps


def _images(grid: Tensor) -> Features:
    b, rows, cols, d = grid.shape
    return Features(torch.zeros(b, d), grid.reshape(b, rows * cols, d), grid=(rows, cols))


def test_a_pixel_is_of_the_class_that_the_patches_around_it_are_most_like() -> None:
    grid, classes = torch.randn(2, 3, 4, 5), 3 * torch.randn(6, 5)
    found = class_maps(_images(grid), classes, 12)
    unit = grid / grid.norm(dim=-1, keepdim=True)
    for row in range(12):
        for col in range(12):
            y, x = (row + 0.5) / 4 - 0.5, (col + 0.5) / 3 - 0.5
            mixed = torch.zeros(2, 5)
            for r in range(3):
                for c in range(4):
                    near = max(0.0, 1 - abs(min(max(y, 0.0), 2.0) - r)) * max(0.0, 1 - abs(min(max(x, 0.0), 3.0) - c))
                    mixed += near * unit[:, r, c]
            wanted = (mixed @ (classes / classes.norm(dim=1, keepdim=True)).T).argmax(1)
            assert found[:, row, col].tolist() == wanted.tolist()


def test_patches_of_few_kinds_are_put_together() -> None:
    kinds = torch.tensor([[[0, 0, 1], [2, 0, 1]], [[0, 1, 1], [1, 0, 0]]])
    grid = torch.eye(4)[kinds] + 0.01 * torch.randn(2, 2, 3, 4)
    found = group_maps(_images(grid), [3, 2], 6)
    for i in range(2):
        wanted = kinds[i].repeat_interleave(3, 0).repeat_interleave(2, 1)
        assert torch.equal(found[i][:, :, None, None] == found[i], wanted[:, :, None, None] == wanted)


def test_overlaps_are_counted() -> None:
    predicted, true = torch.randint(0, 4, (5, 6)), torch.randint(0, 4, (5, 6))
    counted = torch.rand(5, 6) < 0.7
    both, either = overlaps(predicted, true, 4, counted)
    pixels = list(zip(predicted[counted].tolist(), true[counted].tolist(), strict=True))
    for c in range(4):
        assert both[c] == sum(p == c and t == c for p, t in pixels)
        assert either[c] == sum(p == c or t == c for p, t in pixels)


def test_a_thing_has_the_group_that_covers_it_best() -> None:
    things = torch.tensor([[0, 0, 1, 1], [2, 2, 1, 1]])
    groups = torch.tensor([[7, 7, 7, 5], [6, 5, 5, 5]])
    assert jaccard(groups, things).tolist() == pytest.approx([3 / 5, 1 / 2])
    assert len(jaccard(groups, 0 * things)) == 0


def test_tokens_that_form_no_picture_are_refused() -> None:
    with pytest.raises(DataError, match="no patches that form a picture"):
        class_maps(Features(torch.zeros(1, 3), torch.zeros(1, 4, 3)), torch.eye(3), 8)
