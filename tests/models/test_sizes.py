"""The one dial."""

from itertools import pairwise
from typing import get_args

import pytest
import torch

from dovetail.catalogue import build, lookup
from dovetail.contracts import Encoder
from dovetail.models.sizes import PLANS, Plan, Size, size_for


@pytest.mark.parametrize(
    ("items", "gpu", "size"),
    [
        (8_000, False, "tiny"),
        (10**9, False, "tiny"),
        (8_000, True, "tiny"),
        (100_000, True, "small"),
        (1_999_999, True, "small"),
        (2_000_000, True, "base"),
        (10**8, True, "large"),
    ],
)
def test_the_size_follows_from_data_and_device(items: int, gpu: bool, size: str) -> None:
    assert size_for(items, gpu) == size


def _parameters(plan: Plan) -> int:
    with torch.device("meta"):  # shapes without memory
        text = lookup("text_transformer", Encoder).make(vocabulary=plan.vocabulary, context=plan.context, **plan.text)
        image = build(plan.image, Encoder)
    return sum(p.numel() for tower in (image, text) for p in tower.parameters())


def test_every_size_is_a_pair_of_towers_and_each_is_larger_than_the_one_before() -> None:
    assert tuple(PLANS) == get_args(Size)
    counts = [_parameters(plan) for plan in PLANS.values()]
    assert counts == sorted(counts) and all(b > 1.5 * a for a, b in pairwise(counts))
    assert counts[0] < 12e6 < 300e6 < counts[-1]


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_the_image_tower_reads_as_many_pixels_as_the_plan_says(size: Size) -> None:
    plan = PLANS[size]
    tower = build(plan.image, Encoder)
    assert tower.size == plan.pixels
    assert tower.eval()(torch.zeros(1, 3, plan.pixels, plan.pixels)).pooled.shape == (1, tower.width)
