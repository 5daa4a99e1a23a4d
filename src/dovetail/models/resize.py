"""A model for other pictures and longer texts than it was made for: its positional embeddings are resized.

image positions: bicubic with antialiasing over the grid, as Dosovitskiy et al., "An Image is Worth 16x16 Words:
    Transformers for Image Recognition at Scale", 2021, began it; a class token's is left alone.
text positions, `linear`: linearly over the whole context; a shorter context keeps the first ones.
text positions, `preserving`: Zhang et al., "Long-CLIP: Unlocking the Long-Text Capability of CLIP", 2024: the first 20,
    which are the well-trained ones, stay; the others are stretched, from 77 to 248 four times each:

        p'(i) = p(i) for i < 20;    p'(20 + j) = p(20 + j (n - 20) / (n' - 20)), linearly between and beyond the last
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from dovetail.catalogue import configuration, rebuild
from dovetail.data.records import DataError
from dovetail.models.dual_encoder import DualEncoder

Stretch = Callable[[Tensor, int], Tensor]
"""(positions (n d), how many there shall be) -> the positions of a longer context."""

KEPT = 20  # positions that Long-CLIP found to be well trained


def linear(positions: Float[Tensor, "n d"], count: int) -> Float[Tensor, "m d"]:
    """Every position moves: all of the old range is spread over the new one."""
    return F.interpolate(positions.T[None].float(), count, mode="linear")[0].T.to(positions.dtype)


def preserving(positions: Float[Tensor, "n d"], count: int, kept: int = KEPT) -> Float[Tensor, "m d"]:
    """The first `kept` stay as they are, the others are stretched. Raises DataError where there are no others."""
    n = len(positions)
    if n < kept + 2:
        raise DataError(f"a context of {n} tokens has no positions beyond the first {kept} to stretch; use linear")
    x = positions.double()
    at = kept + torch.arange(count - kept, dtype=torch.float64, device=x.device) * (n - kept) / (count - kept)
    low = at.long().clamp_max(n - 2)  # beyond the last one, on along the last slope
    share = (at - low)[:, None]
    return torch.cat([x[:kept], torch.lerp(x[low], x[low + 1], share)]).to(positions.dtype)


STRETCHES: dict[str, Stretch] = {"linear": linear, "preserving": preserving}


def grid_resized(positions: Float[Tensor, "n d"], side: int, new: int) -> Float[Tensor, "m d"]:
    """Positions of a square of `side` patches for one of `new` patches a side; those before the square are kept."""
    first = len(positions) - side * side
    square = positions[first:].float().unflatten(0, (side, side)).permute(2, 0, 1)[None]
    found = F.interpolate(square, (new, new), mode="bicubic", antialias=True, align_corners=False)
    return torch.cat([positions[:first], found[0].permute(1, 2, 0).flatten(0, 1).to(positions.dtype)])


def resized(
    model: DualEncoder, size: int | None = None, context: int | None = None, stretch: Stretch = linear
) -> DualEncoder:
    """The model for squares of `size` pixels and texts of up to `context` tokens; None: as it is. The towers are new,
    all other weights those of `model`, which stays as it was.

    Raises DataError for a tower that cannot be resized.
    """
    made = copy.copy(model)
    made._modules = dict(model._modules)  # the two share all but what is replaced here
    if size is not None and size != model.preprocessing.size:
        made.image = _image(model.image, size)
        made.preprocessing = replace(model.preprocessing, size=size, scaled=None)
    if context is not None and context != model.tokenizer.context:
        made.text = lengthened(model.text, context, stretch)
        made.tokenizer = model.tokenizer.with_context(context)
    return made


def _image(tower: Any, size: int) -> Any:
    options = configuration(tower)["options"]
    if "size" not in options or "patch" not in options or not hasattr(tower, "positions"):
        raise DataError(f"{type(tower).__name__} has no grid of positions that could be resized to {size} pixels")
    old, patch = tower.size, tower.patch
    if size % patch:
        raise DataError(f"--size {size} is no multiple of the patches of {patch} pixels")
    return _with_positions(tower, "size", size, lambda x: grid_resized(x, old // patch, size // patch))


def lengthened(tower: Any, context: int, stretch: Stretch) -> Any:
    """A text tower for texts of up to `context` tokens, with the weights of `tower`, which stays as it was.

    Raises DataError for a tower without learnt positions.
    """
    if "context" not in configuration(tower)["options"] or not hasattr(tower, "positions"):
        raise DataError(f"{type(tower).__name__} has no positions that could be resized to {context} tokens")
    return _with_positions(
        tower, "context", context, lambda x: x[:context] if context <= len(x) else stretch(x, context)
    )


def _with_positions(tower: Any, option: str, value: int, change: Callable[[Tensor], Tensor]) -> nn.Module:
    """The same tower, made with another value of an option and given changed positions."""
    config = configuration(tower)
    made: nn.Module = rebuild({**config, "options": {**config["options"], option: value}})
    state = tower.state_dict()
    with torch.no_grad():
        state["positions"] = change(state["positions"])
    made.load_state_dict(state, assign=True)
    for name, p in tower.named_parameters():
        made.get_parameter(name).requires_grad_(p.requires_grad)
    return made.train(tower.training)
