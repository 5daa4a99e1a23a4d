"""Parts of a side, and which things are the same."""

import pytest
import torch

from dovetail.ops.sides import Pairs, Side, same_ids
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


def test_some_of_a_side_keep_their_order() -> None:
    whole = side([3, 4, 5], [1.0, 2.0, 3.0], 2)
    some = whole.only(torch.tensor([True, False, True]))
    assert some.ids.tolist() == [3, 5] and some.weights.tolist() == [1.0, 3.0] and some.facts is None
    assert torch.equal(some.features.pooled, whole.features.pooled[[0, 2]])
    assert some.features.tokens is not None and whole.features.tokens is not None
    assert torch.equal(some.features.tokens, whole.features.tokens[[0, 2]])
    facts = Side(whole.features, whole.ids, whole.weights, torch.arange(6.0).view(3, 2))
    assert facts.only(torch.tensor([False, True, False])).facts.tolist() == [[2.0, 3.0]]  # type: ignore[union-attr]
    assert len(whole.only(torch.zeros(3, dtype=torch.bool)).ids) == 0


def _dense(pairs: Pairs | None, shape: tuple[int, int]) -> list[list[float]]:
    found = torch.zeros(shape, dtype=torch.float64)
    if pairs is not None:
        found.index_put_(pairs.at, pairs.targets[:, 0].double(), accumulate=True)
    return found.tolist()


@pytest.mark.parametrize("rows, cols", [([3, 4], [4, 7, 4]), ([5, 5, -1, 2], [2, 5, 5, 9, 2]), ([1], [1]), ([2], [1])])
def test_equal_ids_belong_together(rows: list[int], cols: list[int]) -> None:
    found = same_ids(side(rows, [1.0] * len(rows), 2), side(cols, [1.0] * len(cols), 2))
    assert _dense(found, (len(rows), len(cols))) == [[float(a == b) for b in cols] for a in rows]


def test_none_when_nothing_belongs_together() -> None:
    assert same_ids(side([3, 4], [1.0] * 2, 2), side([5, 6], [1.0] * 2, 2)) is None
    assert Pairs.of(torch.zeros(2, 3)) is None


def test_pairs_of_soft_targets() -> None:
    targets = torch.tensor([[0.0, 0.25], [1.0, 0.0]])
    assert _dense(Pairs.of(targets), (2, 2)) == targets.tolist()
