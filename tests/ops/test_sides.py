"""Parts of a side, and which things are the same."""

import torch

from dovetail.ops.sides import Side, same_ids
from tests.ops.test_contrast import side


def test_a_part_has_its_share_of_everything() -> None:
    whole = side([3, 4, 5], [1.0, 2.0, 3.0], 2)
    whole = Side(whole.features, whole.ids, whole.weights, torch.arange(6.0).view(3, 2))
    part = whole.part(1, 3)
    assert part.ids.tolist() == [4, 5] and part.weights.tolist() == [2.0, 3.0]
    assert part.facts is not None and part.facts.tolist() == [[2.0, 3.0], [4.0, 5.0]]
    assert torch.equal(part.features.pooled, whole.features.pooled[1:])
    assert part.features.tokens is not None and part.features.mask is not None
    assert torch.equal(part.features.tokens, whole.features.tokens[1:])
    assert torch.equal(part.features.mask, whole.features.mask[1:])


def test_equal_ids_belong_together() -> None:
    rows, cols = side([3, 4], [1.0] * 2, 2), side([4, 7, 4], [1.0] * 3, 2)
    found = same_ids(rows, cols)
    assert found is not None and found.tolist() == [[0, 0, 0], [1, 0, 1]]
    assert same_ids(rows, side([5, 6], [1.0] * 2, 2)) is None
