"""From drawn records to the batch that a model is trained or evaluated on."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import get_worker_info

from dovetail.contracts import Batch, Captions, Kind, Regions
from dovetail.data.images import ImageProblem, as_bytes, decode
from dovetail.data.preprocessing import Preprocessing, View
from dovetail.data.records import Caption, Record
from dovetail.data.text import Tokenizer


@dataclass(frozen=True)
class Draw:
    """A record and the seed of everything random about it. None: the evaluation view and all captions."""

    record: Record
    seed: int | None = None


@dataclass(frozen=True)
class Loaded:
    """A batch, None when no item of it could be used, and what was left out: (cause, name) each."""

    batch: Batch | None
    skipped: tuple[tuple[str, str], ...] = ()


Pictures = Callable[[Record], UInt8[Tensor, "height width c"]]
"""The bytes of a record's picture for training, as `images.as_bytes` gives them. Raises ImageProblem."""


@dataclass(frozen=True)
class _Item:
    record: Record
    view: View
    captions: Sequence[Caption]


@dataclass(frozen=True)
class Collate:
    """Decodes, transforms and tokenizes draws. Picklable, for loader workers.

    captions_per_image: with a seed, at most that many true captions of an image and as many of its negatives are drawn;
    None takes all. negatives: whether captions of kind NEGATIVE come into the batch at all. Boxes follow the crop and
    the mirroring of their image; those cropped away are left out.
    pictures: where training views are taken from; None decodes the record's image. Evaluation always decodes it.
    """

    preprocessing: Preprocessing
    tokenizer: Tokenizer
    captions_per_image: int | None = None
    negatives: bool = True
    pictures: Pictures | None = None

    def __call__(self, draws: Sequence[Draw]) -> Loaded:
        """One batch, in the order of the draws. An image that cannot be used is reported, never raised."""
        size = self.preprocessing.size
        items: list[_Item] = []
        skipped: list[tuple[str, str]] = []
        images = torch.empty(len(draws), 3, size, size, dtype=torch.uint8)
        if get_worker_info() is not None:
            images.share_memory_()  # while it is empty: handing it over then copies nothing
        for draw in draws:
            try:
                items.append(self._item(draw, images[len(items)]))
            except ImageProblem as problem:
                skipped.append((problem.cause, draw.record.name))
        return Loaded(self._batch(items, images[: len(items)]) if items else None, tuple(skipped))

    def _item(self, draw: Draw, out: Tensor) -> _Item:
        """One draw, its pixels written to `out`."""
        record, how = draw.record, self.preprocessing
        if draw.seed is None:
            image = decode(record.image)
            view, captions = how.whole(*image.size), self._wanted(record.captions)
            out.copy_(how.render(image, view))
        else:
            rng = random.Random(draw.seed)
            captions = self._sample(self._wanted(record.captions), rng)  # first, so that it depends on the seed alone
            pixels = self._pixels(record)
            height, width = pixels.shape[:2]
            view = how.part(width, height, rng)
            how.cut(pixels, view, out)
        return _Item(record, view, captions)

    def _pixels(self, record: Record) -> Tensor:
        if self.pictures is not None:
            return self.pictures(record)
        return as_bytes(decode(record.image, at_least=self.preprocessing.at_least))

    def _wanted(self, captions: tuple[Caption, ...]) -> tuple[Caption, ...]:
        return captions if self.negatives else tuple(c for c in captions if c.kind != Kind.NEGATIVE)

    def _sample(self, captions: Sequence[Caption], rng: random.Random) -> tuple[Caption, ...]:
        true = [c for c in captions if c.kind != Kind.NEGATIVE]
        false = [c for c in captions if c.kind == Kind.NEGATIVE]
        n = len(captions) if self.captions_per_image is None else self.captions_per_image
        return *_some(true, n, rng), *_some(false, n, rng)

    def _batch(self, items: Sequence[_Item], images: Tensor) -> Batch:
        captions = [(i, c) for i, item in enumerate(items) for c in item.captions]
        return Batch(
            images=images,
            captions=Captions(
                tokens=self.tokenizer([c.text for _, c in captions]),
                owner=torch.tensor([i for i, _ in captions], dtype=torch.int64),
                kind=torch.tensor([int(c.kind) for _, c in captions], dtype=torch.int64),
            ),
            ids=torch.tensor([item.record.id for item in items], dtype=torch.int64),
            names=tuple(item.record.name for item in items),
            regions=self._regions(items) if any(item.record.regions for item in items) else None,
        )

    def _regions(self, items: Sequence[_Item]) -> Regions:
        size = self.preprocessing.size
        seen = [(i, item.view.box(r.box, size), r.phrase) for i, item in enumerate(items) for r in item.record.regions]
        kept = [(i, box, phrase) for i, box, phrase in seen if box is not None]
        return Regions(
            boxes=torch.tensor([box for _, box, _ in kept], dtype=torch.float32).view(-1, 4),
            owner=torch.tensor([i for i, _, _ in kept], dtype=torch.int64),
            phrases=self.tokenizer([phrase for _, _, phrase in kept]),
        )


def _some(captions: Sequence[Caption], n: int, rng: random.Random) -> Sequence[Caption]:
    """At most n of them, in their order."""
    if len(captions) <= n:
        return captions
    return [captions[i] for i in sorted(rng.sample(range(len(captions)), n))]
