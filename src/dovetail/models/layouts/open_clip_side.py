"""One tower on its way between open_clip's and ours: what makes it, its tensors, and the linear map that follows it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from dovetail.models.files import CheckpointError

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Linear:
    """A linear map: weight (out in) and bias (out), which it may lack."""

    weight: Tensor
    bias: Tensor | None = None


@dataclass(frozen=True)
class Side:
    """A tower: its encoder's key and options, its tensors under that encoder's names, and the map after it, if any."""

    key: str
    options: dict[str, Any]
    tensors: Tensors
    map: Linear | None = None

    def folded(self) -> "Side":
        """The same with the map, if there is one, as the tower's own. Raises CheckpointError for a tower that takes
        none."""
        if self.map is None:
            return self
        if "out" not in self.options:
            raise CheckpointError(
                f"a map that the model has no place for follows {self.key}; only together with a tower whose map has "
                "no bias can it be opened"
            )
        weight, bias = self.map.weight, self.map.bias
        held = {"head.map.weight": weight} | ({} if bias is None else {"head.map.bias": bias})
        return replace(
            self,
            options=self.options | {"out": [len(weight), bias is not None]},
            tensors=self.tensors | held,
            map=None,
        )

    def unfolded(self) -> "Side":
        """The counterpart of `folded`."""
        if self.options.get("out") is None:
            return self
        held = Linear(self.tensors["head.map.weight"], self.tensors.get("head.map.bias"))
        left = {k: v for k, v in self.tensors.items() if not k.startswith("head.map.")}
        return replace(self, options=self.options | {"out": None}, tensors=left, map=held)


def simplest(side: Side) -> Side:
    """The same tower as `clip_vit`, `clip_text` or `siglip_text`, which more can be done with, where it is one."""
    o = side.options
    if side.key == "open_clip_vit" and (o["pool"], o["layer_scale"], o["out"]) == ("class", None, None):
        kept = {k: v for k, v in o.items() if k not in ("inner", "pool", "layer_scale", "out")}
        return Side("clip_vit", kept | {"width": o["inner"]}, _moved(side.tensors, "last_norm.", "transformer.norm."))
    if side.key != "open_clip_text" or o["layer_scale"] is not None:
        return side
    kept = {k: v for k, v in o.items() if k not in ("inner", "causal", "pool", "layer_scale", "out")}
    if o["causal"] and o["pool"] not in ("first", "last") and o["out"] is None:
        end = None if o["pool"] == "highest" else o["pool"]
        return Side("clip_text", kept | {"width": o["inner"], "end": end}, side.tensors)
    if not o["causal"] and o["pool"] == "last" and o["out"] is not None and o["out"][1]:
        tensors = _moved(side.tensors, "head.map.", "head.")
        return Side("siglip_text", kept | {"width": o["out"][0], "token_width": o["inner"]}, tensors)
    return side


def general(side: Side) -> Side:
    """The counterpart of `simplest`. Raises CheckpointError for a ViT whose patches have a bias."""
    o = side.options
    if side.key == "clip_vit":
        if o["patch_bias"]:
            raise CheckpointError("open_clip's ViT has no bias for its patches, as this one has")
        kept = {k: v for k, v in o.items() if k not in ("width", "patch_bias")}
        more = {"inner": o["width"], "pool": "class", "layer_scale": None, "out": None}
        return replace(
            side,
            key="open_clip_vit",
            options=kept | more,
            tensors=_moved(side.tensors, "transformer.norm.", "last_norm."),
        )
    kept = {k: v for k, v in o.items() if k not in ("width", "end", "token_width")}
    if side.key == "clip_text":
        pool = "highest" if o["end"] is None else o["end"]
        more = {"inner": o["width"], "causal": True, "pool": pool, "layer_scale": None, "out": None}
        return replace(side, key="open_clip_text", options=kept | more)
    if side.key == "siglip_text":
        inner = o["token_width"] or o["width"]
        more = {"inner": inner, "causal": False, "pool": "last", "layer_scale": None, "out": [o["width"], True]}
        tensors = _moved(side.tensors, "head.", "head.map.")
        return replace(side, key="open_clip_text", options=kept | more, tensors=tensors)
    return side


def whole_ratio(width: int, ratio: float) -> float:
    """A ratio that open_clip, which rounds down, and we, who round to the nearest, make the same hidden layer of: the
    one given where that is so already. The hidden layer is open_clip's of the ratio given."""
    return ratio_of(width, int(width * ratio), ratio)


def ratio_of(width: int, hidden: int, ratio: float) -> float:
    """`ratio` where it gives open_clip and us `hidden` numbers, else the nearest to their quotient that does."""
    near = hidden / width
    for candidate in (ratio, near, math.nextafter(near, math.inf)):
        if int(width * candidate) == hidden == round(width * candidate):
            return candidate
    raise CheckpointError(f"no ratio makes a hidden layer of {hidden} numbers of a width of {width}")


def chosen(
    given: Mapping[str, Any], defaults: Mapping[str, Any], fixed: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """Every entry of a configuration with its value or default; `fixed` ones must have the value they have there.

    Raises CheckpointError that names an entry which is unknown, or asks for what is not supported.
    """
    for name, value in given.items():
        if name not in defaults and name not in fixed:
            raise CheckpointError(f"{where}: the entry {name} is unknown; what it asks for is not supported")
        if name in fixed and value != fixed[name] and value is not None:
            raise CheckpointError(f"{where}: {name} = {value!r} is not supported, {fixed[name]!r} alone is")
    return {**defaults, **given}


def square(value: Any, where: str) -> int:
    """The side of what is square. Raises CheckpointError for what is not."""
    sides = {int(v) for v in value} if isinstance(value, list | tuple) else {int(value)}
    if len(sides) != 1:
        raise CheckpointError(f"{where} = {value!r} is not supported, squares alone are")
    return sides.pop()


def _moved(tensors: Tensors, old: str, new: str) -> Tensors:
    """The same tensors, those whose names begin with `old` under `new`."""
    return {new + name.removeprefix(old) if name.startswith(old) else name: v for name, v in tensors.items()}
