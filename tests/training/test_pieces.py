"""A batch in pieces, and outputs joined."""

from collections import namedtuple
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from dovetail.contracts import Batch, Captions, Features, Regions, Tokens
from dovetail.training.pieces import by_owner, cut, each, floats, join


def _tokens(count: int) -> Tokens:
    """Each text says its own number."""
    return Tokens(torch.arange(count)[:, None].repeat(1, 2), torch.ones(count, 2, dtype=torch.bool))


def _batch() -> Batch:
    """Five images with a caption or several, none for image 3, and regions; all out of order."""
    owner = torch.tensor([4, 0, 2, 0, 1, 2])
    regions = Regions(torch.arange(12.0).view(3, 4), torch.tensor([3, 0, 3]), _tokens(3))
    return Batch(
        images=torch.arange(5.0)[:, None, None, None].expand(5, 3, 1, 1),
        captions=Captions(_tokens(6), owner, torch.tensor([0, 1, 2, 3, 0, 1])),
        ids=torch.arange(10, 15),
        names=tuple("abcde"),
        regions=regions,
        labels=torch.arange(20, 25),
        weights=torch.arange(5.0) / 5,
    )


def test_captions_and_regions_follow_their_images() -> None:
    data = by_owner(_batch())
    assert data.captions.owner.tolist() == [0, 0, 1, 2, 2, 4]
    assert data.captions.tokens.ids[:, 0].tolist() == [1, 3, 4, 2, 5, 0]  # those of one image keep their order
    assert data.captions.kind.tolist() == [1, 3, 0, 2, 1, 0]
    assert data.regions is not None
    assert data.regions.owner.tolist() == [0, 3, 3] and data.regions.phrases.ids[:, 0].tolist() == [1, 0, 2]
    assert data.images is _batch().images or torch.equal(data.images, _batch().images)


def test_a_piece_has_what_belongs_to_its_images() -> None:
    first, second = cut(by_owner(_batch()), 2)
    assert first.ids.tolist() == [10, 11, 12] and second.ids.tolist() == [13, 14]
    assert first.names == ("a", "b", "c") and second.names == ("d", "e")
    assert second.images[:, 0, 0, 0].tolist() == [3, 4]
    assert second.labels is not None and second.labels.tolist() == [23, 24]
    assert second.weights is not None and second.weights.tolist() == pytest.approx([0.6, 0.8])
    assert first.captions.owner.tolist() == [0, 0, 1, 2, 2] and second.captions.owner.tolist() == [1]
    assert second.captions.tokens.ids[:, 0].tolist() == [0] and second.captions.tokens.mask.shape == (1, 2)
    assert first.regions is not None and second.regions is not None
    assert first.regions.boxes.tolist() == [[4, 5, 6, 7]]
    assert second.regions.owner.tolist() == [0, 0] and second.regions.phrases.ids[:, 0].tolist() == [0, 2]


def test_what_the_data_does_not_have_no_piece_has() -> None:
    bare = replace(_batch(), names=(), regions=None, labels=None, weights=None)
    for piece in cut(by_owner(bare), 3):
        assert piece.names == () and piece.regions is None and piece.labels is None and piece.weights is None


@pytest.mark.parametrize(("count", "sizes"), [(1, [5]), (2, [3, 2]), (3, [2, 2, 1]), (5, [1] * 5)])
def test_pieces_are_nearly_equal(count: int, sizes: list[int]) -> None:
    pieces = cut(by_owner(_batch()), count)
    assert [len(p.ids) for p in pieces] == sizes
    assert torch.cat([p.captions.tokens.ids[:, 0] for p in pieces]).tolist() == [1, 3, 4, 2, 5, 0]


@dataclass(frozen=True)
class Said:
    images: Features
    scale: Tensor
    bias: Tensor | None


Pair = namedtuple("Pair", ["loss", "chosen"])


def _said(count: int, scale: float) -> dict[str, object]:
    said = Said(Features(torch.full((count, 2), scale)), torch.tensor(scale), None)
    return {"said": said, "pair": Pair(torch.full((count, 1), scale), torch.full((count,), count)), "rest": (None,)}


def test_outputs_are_joined_whatever_holds_them() -> None:
    found = join([_said(2, 1.0), _said(1, 3.0)])
    assert found["said"].images.pooled[:, 0].tolist() == [1, 1, 3] and found["said"].bias is None
    assert float(found["said"].scale) == 3.0, "what is the same in all pieces comes from the last"
    assert isinstance(found["pair"], Pair) and found["pair"].loss[:, 0].tolist() == [1, 1, 3]
    assert found["pair"].chosen.tolist() == [2, 2, 1] and found["rest"] == (None,)


def test_float_tensors_are_found_in_one_order() -> None:
    value = _said(2, 1.0)
    assert [x.shape for x in floats(value)] == [(2, 2), (), (2, 1)]
    doubled = each(value, lambda x: 2 * x)
    assert [float(x.max()) for x in floats(doubled)] == [2, 2, 2]
    assert torch.equal(doubled["pair"].chosen, torch.tensor([2, 2])), "whole numbers stay"


def test_what_cannot_be_joined_is_named() -> None:
    with pytest.raises(TypeError, match=r"encode returned str, which --micro-batch cannot join: expected Features"):
        join([{"a": "text"}, {"a": "text"}])
