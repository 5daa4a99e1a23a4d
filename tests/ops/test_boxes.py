"""Boxes against torchvision, and places against their definition."""

import math

import pytest
import torch
from torchvision.ops import box_convert, generalized_box_iou

from dovetail.ops.boxes import centred, corners, giou, waves


def _boxes(n: int) -> torch.Tensor:
    first = torch.rand(n, 2, dtype=torch.float64)
    return torch.cat([first, first + torch.rand(n, 2, dtype=torch.float64)], 1)


def test_both_forms_are_torchvisions() -> None:
    boxes = _boxes(5)
    torch.testing.assert_close(centred(boxes), box_convert(boxes, "xyxy", "cxcywh"))
    torch.testing.assert_close(corners(centred(boxes)), boxes)
    torch.testing.assert_close(corners(boxes[None])[0], box_convert(boxes, "cxcywh", "xyxy"))


def test_overlap_is_torchvisions() -> None:
    a, b = _boxes(5), _boxes(4)
    torch.testing.assert_close(giou(a[:, None], b), generalized_box_iou(a, b))
    torch.testing.assert_close(giou(a, a), torch.ones(5, dtype=torch.float64))


def test_overlap_by_hand() -> None:
    a, apart = torch.tensor([0.0, 0.0, 2.0, 2.0]), torch.tensor([3.0, 0.0, 4.0, 2.0])
    assert giou(a, torch.tensor([1.0, 1.0, 3.0, 3.0])).item() == pytest.approx(1 / 7 - 2 / 9)
    assert giou(a, apart).item() == pytest.approx(-2 / 8)
    assert giou(a, torch.zeros(4)).isfinite() and giou(torch.zeros(4), torch.zeros(4)) == 0


def test_the_overlap_has_a_slope_even_between_boxes_that_are_apart() -> None:
    a, b = torch.tensor([0.0, 0.0, 0.2, 0.2], requires_grad=True), torch.tensor([0.5, 0.5, 0.7, 0.7])
    giou(a, b).backward()
    assert a.grad is not None and (a.grad[2:] > 0).all()


@pytest.mark.parametrize("width", [8, 10, 3])
def test_places_as_waves(width: int) -> None:
    points, count = torch.rand(4, 2, dtype=torch.float64), width // 4
    found = waves(points, width)
    for i, (x, y) in enumerate(points.tolist()):
        angles = [2 * math.pi * v / 10_000 ** (k / count) for v in (x, y) for k in range(count)]
        wanted = [*map(math.sin, angles), *map(math.cos, angles)]
        assert found[i].tolist() == pytest.approx(wanted + [0.0] * (width - len(wanted)))


def test_no_places() -> None:
    assert waves(torch.zeros(0, 2), 8).shape == (0, 8)
