"""Maps fold into towers and out again, towers are the simplest that they can be, and entries are chosen or refused."""

from typing import Any

import pytest
import torch

from dovetail.models.files import CheckpointError
from dovetail.models.layouts.open_clip_side import (
    Linear,
    Side,
    chosen,
    general,
    ratio_of,
    simplest,
    square,
    whole_ratio,
)

TEXT: dict[str, Any] = {"heads": 2, "inner": 8, "causal": True, "pool": "highest", "layer_scale": None, "out": None}
IMAGE: dict[str, Any] = {"heads": 2, "inner": 8, "pool": "class", "layer_scale": None, "out": None}


@pytest.mark.parametrize("bias", [None, torch.ones(3)])
def test_a_map_is_folded_and_unfolded(bias: torch.Tensor | None) -> None:
    side = Side("open_clip_text", TEXT, {"words.weight": torch.zeros(2)}, Linear(torch.ones(3, 8), bias))
    folded = side.folded()
    assert folded.map is None and folded.options["out"] == [3, bias is not None]
    again = folded.unfolded()
    assert again.options == TEXT and again.tensors.keys() == side.tensors.keys()
    assert again.map is not None and again.map.weight is side.map.weight and again.map.bias is bias  # type: ignore[union-attr]
    assert Side("open_clip_text", TEXT, {}).folded().unfolded().map is None
    with pytest.raises(CheckpointError, match="follows coca_text; only together with a tower whose map has no bias"):
        Side("coca_text", {}, {}, Linear(torch.ones(3, 8))).folded()


@pytest.mark.parametrize(
    ("key", "options", "simple"),
    [
        ("open_clip_vit", IMAGE, "clip_vit"),
        ("open_clip_vit", IMAGE | {"pool": "mean"}, None),
        ("open_clip_vit", IMAGE | {"layer_scale": 0.1}, None),
        ("open_clip_vit", IMAGE | {"out": [3, False]}, None),
        ("open_clip_text", TEXT, "clip_text"),
        ("open_clip_text", TEXT | {"pool": 5}, "clip_text"),
        ("open_clip_text", TEXT | {"pool": "first"}, None),
        ("open_clip_text", TEXT | {"causal": False}, None),
        ("open_clip_text", TEXT | {"causal": False, "pool": "last", "out": [3, True]}, "siglip_text"),
        ("open_clip_text", TEXT | {"causal": False, "pool": "last", "out": [3, False]}, None),
        ("open_clip_text", TEXT | {"causal": False, "pool": "last", "layer_scale": 1.0, "out": [3, True]}, None),
        ("timm", {"name": "x"}, None),
    ],
)
def test_a_tower_is_the_simplest_and_general_again(key: str, options: dict[str, Any], simple: str | None) -> None:
    last = "last_norm.weight" if key == "open_clip_vit" else "transformer.norm.weight"
    tensors = {last: torch.zeros(8)} | ({"head.map.weight": torch.zeros(3, 8)} if options.get("out") else {})
    side = Side(key, options, tensors)
    found = simplest(side)
    assert found.key == (simple or key)
    bare = found.options | ({"patch_bias": False} if found.key == "clip_vit" else {})
    again = general(Side(found.key, bare, found.tensors))
    assert (again.key, again.options, again.tensors.keys()) == (key, options, tensors.keys())


def test_ratios_make_the_hidden_layer_that_open_clip_makes() -> None:
    assert whole_ratio(1408, 4.3637) == 4.3637 and round(1408 * 4.3637) == 6144
    for width in (24, 32, 1152, 1664):
        for ratio in (1.7, 2.3, 3.7362, 4.9231, 8.571428571428571):
            found = whole_ratio(width, ratio)
            assert int(width * found) == round(width * found) == int(width * ratio)
    assert all(int(w * ratio_of(w, h, 4.0)) == h for w in (49, 93, 768) for h in range(100, 400))


def test_entries_are_chosen_or_refused_by_name() -> None:
    assert chosen({"a": 1, "c": None}, {"a": 2, "b": 3}, {"c": False}, "x")["b"] == 3
    with pytest.raises(CheckpointError, match="x: the entry z is unknown"):
        chosen({"z": 1}, {"a": 2}, {}, "x")
    with pytest.raises(CheckpointError, match="x: c = True is not supported, False alone is"):
        chosen({"c": True}, {}, {"c": False}, "x")
    assert square([4, 4], "x") == square(4, "x") == 4
    with pytest.raises(CheckpointError, match=r"x = \[4, 5\] is not supported, squares alone are"):
        square([4, 5], "x")
