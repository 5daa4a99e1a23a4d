"""Composed queries."""

import math

import pytest
import torch

from dovetail.ops.composition import added
from dovetail.ops.similarity import cosine


@pytest.mark.parametrize("weight", [1.0, 0.4, -1.0])
def test_equals_its_definition(weight: float) -> None:
    images, texts = torch.randn(3, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    found = added(images, texts, weight).tolist()
    for x, y, z in zip(images.tolist(), texts.tolist(), found, strict=True):
        summed = [a / math.hypot(*x) + weight * b / math.hypot(*y) for a, b in zip(x, y, strict=True)]
        assert z == pytest.approx([v / math.hypot(*summed) for v in summed], abs=1e-12)


def test_finds_what_is_like_the_image_and_as_the_text_says() -> None:
    """Things are a place of their own plus a colour: the query for a thing in another colour finds that one."""
    red, blue, car, tree = torch.eye(4)
    gallery = torch.stack([car + red, car + blue, tree + red, tree + blue])
    query = added(gallery[:1], blue[None])
    assert cosine(query, gallery).argmax() == 1
    assert cosine(added(query, red[None], -1.0), gallery).argmax() == 1
    assert cosine(added(gallery[1:2], blue[None], -1.0), torch.stack([car, blue, tree])).argmax() == 0


def test_one_text_serves_for_many_images() -> None:
    images, text = torch.randn(5, 3), torch.randn(1, 3)
    torch.testing.assert_close(added(images, text), added(images, text.expand(5, 3)))
