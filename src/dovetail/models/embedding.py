"""Running something over a long list in batches, with a progress bar when asked."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch
from jaxtyping import Float
from rich.progress import track
from torch import Tensor

T = TypeVar("T")


def pieces(items: Sequence[T], size: int, title: str | None = None) -> Iterator[Sequence[T]]:
    """The items in runs of `size`; with a bar under `title` unless that is None."""
    starts = range(0, len(items), size)
    for start in starts if title is None else track(starts, title):
        yield items[start : start + size]


def joined(parts: list[Float[Tensor, "_ d"]], width: int, device: torch.device) -> Float[Tensor, "m d"]:
    """The parts one after the other; an empty (0 width) tensor when there are none."""
    return torch.cat(parts) if parts else torch.empty(0, width, device=device)
