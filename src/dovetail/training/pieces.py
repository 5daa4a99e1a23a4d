"""A batch cut into pieces by its images, and what an objective's `encode` says of the pieces joined again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from dovetail.contracts import Batch, Features
from dovetail.ops.features import joined


def by_owner(batch: Batch) -> Batch:
    """The same batch with captions and regions in the order of their images, as they lie in joined pieces."""
    held = {f.name: getattr(batch, f.name) for f in fields(batch)}
    owned = {k: v for k, v in held.items() if hasattr(v, "owner")}
    return replace(batch, **{k: _rows(v, v.owner.argsort(stable=True)) for k, v in owned.items()})


def cut(batch: Batch, count: int) -> list[Batch]:
    """`count` pieces with equally many images (one more in the first ones, where that does not come out even).

    batch: from `by_owner`. A piece has the captions and regions of its images, whose owners are counted from its own
    first image.
    """
    least, more = divmod(len(batch.ids), count)
    pieces, start = [], 0
    for i in range(count):
        stop = start + least + (i < more)
        pieces.append(replace(batch, **{f.name: _part(getattr(batch, f.name), start, stop) for f in fields(batch)}))
        start = stop
    return pieces


def _part(value: Any, start: int, stop: int) -> Any:
    """The share of a batch's field that belongs to the images start, start + 1, ..., stop - 1."""
    if value is None:
        return None
    if not hasattr(value, "owner"):
        return _rows(value, slice(start, stop))
    edges = torch.searchsorted(value.owner, torch.tensor([start, stop], device=value.owner.device)).tolist()
    part = _rows(value, slice(*edges))
    return replace(part, owner=part.owner - start)


def _rows(value: Any, at: Tensor | slice) -> Any:
    """The rows `at` of a tensor, a tuple, or of every tensor of a record."""
    if isinstance(value, Tensor | tuple):
        return value[at]
    return replace(value, **{f.name: _rows(getattr(value, f.name), at) for f in fields(value)})


def join(parts: Sequence[Any]) -> Any:
    """What `encode` returned for each piece as one: see `contracts.Objective`. Raises TypeError for what cannot be."""
    first = parts[0]
    if isinstance(first, Features):
        return joined(parts)
    if isinstance(first, Tensor):
        return torch.cat(list(parts)) if first.ndim else parts[-1]
    if first is None:
        return None
    if not isinstance(first, tuple | Mapping) and not is_dataclass(first):
        raise TypeError(
            f"an objective's encode returned {type(first).__name__}, which --micro-batch cannot join: expected "
            "Features, tensors, None, or a tuple, mapping or dataclass of these"
        )
    return _rebuilt(first, [join(values) for values in zip(*map(_held, parts), strict=True)])


def each(value: Any, f: Callable[[Tensor], Tensor]) -> Any:
    """The same outputs with every float tensor x as f(x)."""
    if isinstance(value, Tensor):
        return f(value) if value.is_floating_point() else value
    if isinstance(value, tuple | Mapping) or is_dataclass(value):
        return _rebuilt(value, [each(v, f) for v in _held(value)])
    return value


def floats(value: Any) -> list[Tensor]:
    """The float tensors of outputs, always in the same order."""
    found: list[Tensor] = []

    def kept(x: Tensor) -> Tensor:
        found.append(x)
        return x

    each(value, kept)
    return found


def _held(value: Any) -> list[Any]:
    if isinstance(value, tuple):
        return list(value)
    return list(value.values()) if isinstance(value, Mapping) else [getattr(value, f.name) for f in fields(value)]


def _rebuilt(like: Any, values: Sequence[Any]) -> Any:
    """A tuple, mapping or dataclass like `like` that holds these values."""
    if isinstance(like, Mapping):
        return dict(zip(like, values, strict=True))
    if not isinstance(like, tuple):
        return replace(like, **{f.name: v for f, v in zip(fields(like), values, strict=True)})
    return type(like)(*values) if hasattr(like, "_fields") else tuple(values)
