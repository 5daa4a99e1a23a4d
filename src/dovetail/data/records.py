"""One captioned image as a source hands it on, and the tally of what could not be used."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dovetail.contracts import Kind

ImageLike = Path | bytes | Image.Image | np.ndarray
"""A file, an encoded file's bytes, a picture, or an array (h w), (h w 3) or (h w 4) of uint8 or of floats in 0..1."""


class DataError(ValueError):
    """Data that cannot be used. The message names the file, line or column, what was expected and what to do."""


@dataclass(frozen=True)
class Caption:
    """One text about an image."""

    text: str
    kind: Kind = Kind.RAW
    language: str | None = None


@dataclass(frozen=True)
class Region:
    """A box, as fractions of width and height (left, top, right, bottom), and what it holds."""

    box: tuple[float, float, float, float]
    phrase: str


@dataclass(frozen=True)
class Record:
    """One image with everything that is known of it. Equal `id`s are the same thing, never negatives of each other."""

    image: ImageLike
    captions: tuple[Caption, ...]
    name: str  # where it came from, for messages: `photos.csv line 17 (images/a.jpg)`
    id: int  # fits int64
    label: str | None = None
    regions: tuple[Region, ...] = ()
    depth: ImageLike | None = None  # a grey picture of 8 or 16 bits, black nearest
    video: tuple[ImageLike, ...] = ()  # frames, evenly spaced in time
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Problems:
    """What was skipped, counted by cause, with the first few names of each."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, cause: str, name: str) -> None:
        """Counts one skipped thing; `cause` is a short phrase such as `empty caption` or `truncated image`."""
        self.counts[cause] += 1
        named = self.examples.setdefault(cause, [])
        if len(named) < 5:
            named.append(name)

    def merge(self, other: "Problems") -> None:
        """Adds what another tally counted."""
        for cause, count in other.counts.items():
            self.counts[cause] += count
            self.examples[cause] = (self.examples.get(cause, []) + other.examples.get(cause, []))[:5]

    def lines(self) -> list[str]:
        """One sentence per cause, most frequent first: `12 x truncated image, e.g. photos.csv line 17 (a.jpg)`."""
        return [f"{n} x {cause}, e.g. {'; '.join(self.examples[cause][:2])}" for cause, n in self.counts.most_common()]
