"""From drawn records to the batch that a model is trained or evaluated on."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.utils.data import get_worker_info

from dovetail.contracts import Batch, Captions, Concepts, Crops, Kind, Modality, Regions, Views
from dovetail.data import senses
from dovetail.data.images import ImageProblem, as_bytes, decode
from dovetail.data.preprocessing import Preprocessing, View
from dovetail.data.records import Caption, Record
from dovetail.data.sentences import sentences
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


T = TypeVar("T")
MODALITIES = ("depth", "video")

Pictures = Callable[[Record], UInt8[Tensor, "height width c"]]
"""The bytes of a record's picture for training, as `images.as_bytes` gives them. Raises ImageProblem."""


@dataclass(frozen=True)
class _Item:
    record: Record
    view: View
    captions: Sequence[Caption]
    viewed: bool  # there are further views of it
    depth: UInt8[Tensor, "1 1 s s"] | None
    video: UInt8[Tensor, "f 3 s s"] | None


@dataclass(frozen=True)
class Collate:
    """Decodes, transforms and tokenizes draws. Picklable, for loader workers.

    captions_per_image: with a seed, at most that many true captions of an image and as many of its negatives are drawn;
    None takes all. negatives: whether captions of kind NEGATIVE come into the batch at all. Boxes follow the crop and
    the mirroring of their image; those cropped away are left out.
    pictures: where training views are taken from; None decodes the record's image. Evaluation always decodes it.

    views: further random views of each image that are drawn with a seed, of the same decoded pixels. vocabulary: gives
    the numbers of the concepts that an image's true captions name. sub_captions: with a seed, each drawn caption of
    kind LONG gives way to that many of its sentences, drawn anew each time, or to all when it has fewer. modalities:
    what comes into the batch beside the image, of records that have it; it follows the crop and the mirroring too.
    """

    preprocessing: Preprocessing
    tokenizer: Tokenizer
    captions_per_image: int | None = None
    negatives: bool = True
    pictures: Pictures | None = None
    views: tuple[Crops, ...] = ()
    vocabulary: Callable[[Sequence[str]], Sequence[int]] | None = None
    sub_captions: int | None = None
    modalities: tuple[str, ...] = MODALITIES

    def __call__(self, draws: Sequence[Draw]) -> Loaded:
        """One batch, in the order of the draws. An image that cannot be used is reported, never raised."""
        items: list[_Item] = []
        skipped: list[tuple[str, str]] = []
        seen = 0
        images = self._squares(len(draws))
        further = self._squares(sum(draw.seed is not None for draw in draws) * len(self._kinds)) if self.views else None
        for draw in draws:
            try:
                items.append(self._item(draw, images[len(items)], further, seen))
                seen += items[-1].viewed
            except ImageProblem as problem:
                skipped.append((problem.cause, draw.record.name))
        return Loaded(self._batch(items, images[: len(items)], further) if items else None, tuple(skipped))

    def _squares(self, count: int) -> UInt8[Tensor, "n 3 s s"]:
        size = self.preprocessing.size
        empty = torch.empty(count, 3, size, size, dtype=torch.uint8)
        # In a worker shared while it is empty: handing it over then copies nothing.
        return empty if get_worker_info() is None else empty.share_memory_()

    def _item(self, draw: Draw, out: Tensor, further: Tensor | None, before: int) -> _Item:
        """One draw, its pixels written to `out`; those of its further views behind those of the `before` images."""
        record, how = draw.record, self.preprocessing
        if draw.seed is None:
            image = decode(record.image)
            view, captions = how.whole(*image.size), self._wanted(record.captions)
            out.copy_(how.render(image, view))
        else:
            rng = random.Random(draw.seed)
            said = self._sample(self._wanted(record.captions), rng)  # first, so that it depends on the seed alone
            pixels = self._pixels(record)
            height, width = pixels.shape[:2]
            view = how.part(width, height, rng)
            how.cut(pixels, view, out)
            captions = self._divided(said, draw.seed)
            if further is not None:
                self._cut(pixels, draw.seed, further[before * len(self._kinds) :])
        return _Item(
            record=record,
            view=view,
            captions=captions,
            viewed=draw.seed is not None and further is not None,
            depth=senses.depth(record, how, view) if "depth" in self.modalities else None,
            video=senses.video(record, how, view) if "video" in self.modalities else None,
        )

    @property
    def _kinds(self) -> list[int]:
        """Of each further view of an image, which of `views` asked for it."""
        return [kind for kind, crops in enumerate(self.views) for _ in range(crops.count)]

    @property
    def _hows(self) -> list[Preprocessing]:
        return [replace(self.preprocessing, crop=c.area, flip=c.flip, jitter=c.jitter) for c in self.views]

    def _cut(self, pixels: Tensor, seed: int, out: Tensor) -> None:
        """Writes the further views of an image to `out`."""
        rng, hows = random.Random(f"views {seed}"), self._hows  # of its own: the rest of a draw is the same without
        height, width = pixels.shape[:2]
        for kind, square in zip(self._kinds, out, strict=False):
            hows[kind].cut(pixels, hows[kind].part(width, height, rng), square)

    def _divided(self, captions: tuple[Caption, ...], seed: int) -> tuple[Caption, ...]:
        """The captions with sentences of the long ones in their place."""
        if self.sub_captions is None:
            return captions
        rng = random.Random(f"sentences {seed}")
        parts = [sentences(c.text) if c.kind == Kind.LONG else [c.text] for c in captions]
        drawn = [_some(part, self.sub_captions, rng) for part in parts]
        return tuple(replace(c, text=text) for c, texts in zip(captions, drawn, strict=True) for text in texts)

    def _pixels(self, record: Record) -> Tensor:
        if self.pictures is not None:
            return self.pictures(record)
        at_least = max(how.at_least for how in (self.preprocessing, *self._hows))
        return as_bytes(decode(record.image, at_least=at_least))

    def _wanted(self, captions: tuple[Caption, ...]) -> tuple[Caption, ...]:
        return captions if self.negatives else tuple(c for c in captions if c.kind != Kind.NEGATIVE)

    def _sample(self, captions: Sequence[Caption], rng: random.Random) -> tuple[Caption, ...]:
        true = [c for c in captions if c.kind != Kind.NEGATIVE]
        false = [c for c in captions if c.kind == Kind.NEGATIVE]
        n = len(captions) if self.captions_per_image is None else self.captions_per_image
        return *_some(true, n, rng), *_some(false, n, rng)

    def _batch(self, items: Sequence[_Item], images: Tensor, further: Tensor | None) -> Batch:
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
            views=None if further is None else self._views(items, further),
            depth=_modality([item.depth for item in items]),
            video=_modality([item.video for item in items]),
            concepts=None if self.vocabulary is None else self._concepts(items, self.vocabulary),
        )

    def _views(self, items: Sequence[_Item], images: Tensor) -> Views | None:
        kinds = self._kinds
        owners = [i for i, item in enumerate(items) if item.viewed]
        if not owners:
            return None
        return Views(
            images=images[: len(owners) * len(kinds)],
            owner=torch.tensor(owners, dtype=torch.int64).repeat_interleave(len(kinds)),
            kind=torch.tensor(kinds, dtype=torch.int64).repeat(len(owners)),
        )

    def _concepts(self, items: Sequence[_Item], vocabulary: Callable[[Sequence[str]], Sequence[int]]) -> Concepts:
        said = [[c.text for c in item.captions if c.kind != Kind.NEGATIVE] for item in items]
        named = [list(dict.fromkeys(vocabulary(texts))) for texts in said]
        return Concepts(
            index=torch.tensor([number for numbers in named for number in numbers], dtype=torch.int64),
            owner=torch.tensor([i for i, numbers in enumerate(named) for _ in numbers], dtype=torch.int64),
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


def _modality(frames: Sequence[UInt8[Tensor, "f c s s"] | None]) -> Modality | None:
    """Those of the items that have it."""
    held = [(i, one) for i, one in enumerate(frames) if one is not None]
    if not held:
        return None
    return Modality(torch.stack([one for _, one in held]), torch.tensor([i for i, _ in held], dtype=torch.int64))


def _some(captions: Sequence[T], n: int, rng: random.Random) -> Sequence[T]:
    """At most n of them, in their order."""
    if len(captions) <= n:
        return captions
    return [captions[i] for i in sorted(rng.sample(range(len(captions)), n))]
