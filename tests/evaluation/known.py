"""Models whose results are known: one that knows the facts, and some that know nothing."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dovetail.contracts import Features
from dovetail.data.records import Record
from dovetail.data.worlds import Scene, Scenes
from dovetail.evaluation.intervals import Estimate
from dovetail.evaluation.matching import COSINE
from dovetail.evaluation.result import Result
from tests.evaluation.similarities import LateInteraction

WIDTH = 256


def picture(image: Any) -> bytes:
    """A picture as the key of a lookup."""
    array = np.ascontiguousarray(image)
    return str(array.shape).encode() + array.tobytes()


class Held(Scenes):
    """Scenes that are drawn and rendered once for all tests."""

    def scene(self, index: int) -> Scene:
        return _scene(self, index)

    def __getitem__(self, index: int) -> Record:
        return _record(self, index)


@cache
def _scene(source: Held, index: int) -> Scene:
    return Scenes.scene(source, index)


@cache
def _record(source: Held, index: int) -> Record:
    return Scenes.__getitem__(source, index)


class Oracle:
    """Looks pictures and texts up; what it does not know is an error."""

    similarity: Any = COSINE

    def __init__(self, images: Mapping[bytes, Tensor], texts: Mapping[str, Tensor]) -> None:
        self.images, self.texts = images, texts
        self.asked: list[str] = []

    def encode_image(self, images: Sequence[Any]) -> Tensor:
        return torch.stack([self.images[picture(image)] for image in images])

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        self.asked += texts
        return torch.stack([self.texts[text] for text in texts])


class Noise:
    """Gives every different picture and text a random direction of its own, the same in every call."""

    similarity: Any = COSINE

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.pictures = 0

    def encode_image(self, images: Sequence[Any]) -> Any:
        self.pictures += len(images)
        return torch.stack([self._direction(picture(image)) for image in images])

    def encode_text(self, texts: Sequence[str]) -> Any:
        return torch.stack([self._direction(text.encode()) for text in texts])

    def _direction(self, key: bytes) -> Tensor:
        number = int.from_bytes(blake2b(key, digest_size=7, salt=bytes([self.seed])).digest(), "big")
        return torch.randn(WIDTH, generator=torch.Generator().manual_seed(number))


class TokenNoise(Noise):
    """The same as sequences of equal tokens, whose lengths differ from call to call."""

    similarity = LateInteraction()

    def encode_image(self, images: Sequence[Any]) -> Features:
        return self._sequence(super().encode_image(images), 1 + len(images) % 3)

    def encode_text(self, texts: Sequence[str]) -> Features:
        return self._sequence(super().encode_text(texts), 2)

    def _sequence(self, x: Tensor, n: int) -> Features:
        unit = torch.nn.functional.normalize(x, dim=1)
        return Features(x, unit[:, None].expand(-1, n, -1), torch.ones(len(x), n).bool())


class Constant(Noise):
    """Sees no difference."""

    def _direction(self, key: bytes) -> Tensor:
        return torch.ones(WIDTH)


def scenes_of(source: Scenes) -> dict[bytes, Scene]:
    """The facts of every picture."""
    return {picture(source[i].image): source.scene(i) for i in range(len(source))}


def one_hot(words: Iterable[str], known: Sequence[str]) -> Tensor:
    """How often each known word is among `words`."""
    held = list(words)
    return torch.tensor([float(held.count(word)) for word in known])


def inside(result: Result, leeway: float = 1.6) -> bool:
    """Whether guessing lies in every figure's interval, made wider by `leeway`: 99.8 % instead of 95 %."""
    return not [name for name in result if not _holds(result[name], result.chance[name], leeway)]


def _holds(estimate: Estimate, chance: float, leeway: float) -> bool:
    low = estimate.value - leeway * (estimate.value - estimate.low)
    return low <= chance <= estimate.value + leeway * (estimate.high - estimate.value)
