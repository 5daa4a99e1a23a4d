"""A look at the data before anything is trained on it: how much there is, of what kind, and what cannot be used."""

import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dovetail.contracts import Kind
from dovetail.data.records import DataError, ImageLike, Problems, Record
from dovetail.data.sources.kinds import Source, Stream, Table

SAMPLE = 256  # pictures of each source that are decoded
STREAMED = 1_000  # records of each stream that are read ...
UNITS = 8  # ... from so many of its units, evenly spaced
KINDS = {Kind.LONG: "long captions", Kind.SYNTHETIC: "synthetic captions", Kind.NEGATIVE: "negative captions"}
SENSES = ("regions", "depth", "video")  # fields of a record
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\s\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")


@dataclass(frozen=True)
class Survey:
    """What was found. Histograms map a value to how often it occurs.

    items: usable records (of a stream: those that were read, and `complete` is False).
    supply: how much there is of what an objective may require, by its name there: captions of the KINDS, and images
        with each of the SENSES.
    captions_per_image, words: histograms; a Chinese or Japanese character counts as a word.
    languages: captions by language, of those that say theirs. labels: how many different ones.
    repeated_captions: texts that stand, word for word but for case, under more than one image.
    sizes: (width, height) in pixels of the pictures that were decoded.
    skipped, examples: what cannot be used by cause: how often, and the first few by name.
    """

    names: tuple[str, ...]
    complete: bool
    items: int
    supply: Mapping[str, int]
    captions_per_image: Mapping[int, int]
    words: Mapping[int, int]
    languages: Mapping[str, int]
    labels: int
    repeated_captions: int
    sizes: tuple[tuple[int, int], ...]
    skipped: Mapping[str, int]
    examples: Mapping[str, tuple[str, ...]]

    @property
    def captions(self) -> int:
        """All captions, false ones included."""
        return sum(captions * images for captions, images in self.captions_per_image.items())

    @property
    def negatives(self) -> int:
        """Of the captions, those that are false on purpose (kind NEGATIVE)."""
        return self.supply[KINDS[Kind.NEGATIVE]]

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values; the keys of histograms become texts, smallest first."""
        plain = {
            **vars(self),
            "captions": self.captions,
            "names": list(self.names),
            "sizes": [list(size) for size in self.sizes],
        }
        for histogram in ("captions_per_image", "words"):
            plain[histogram] = {str(k): n for k, n in sorted(plain[histogram].items())}
        plain |= {k: dict(plain[k]) for k in ("languages", "skipped", "supply")}
        return {**plain, "examples": {cause: list(names) for cause, names in self.examples.items()}}


@dataclass
class _Count:
    """A survey while it is taken."""

    items: int = 0
    supply: Counter[str] = field(default_factory=Counter)
    per_image: Counter[int] = field(default_factory=Counter)
    words: Counter[int] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    labels: set[str] = field(default_factory=set)
    said: array = field(default_factory=lambda: array("q"))  # a hash of each caption ...
    under: array = field(default_factory=lambda: array("q"))  # ... and the id of the image that it stands under
    sizes: list[tuple[int, int]] = field(default_factory=list)

    def add(self, record: Record) -> None:
        """Counts a record."""
        self.items += 1
        self.per_image[len(record.captions)] += 1
        if record.label is not None:
            self.labels.add(record.label)
        self.supply.update(sense for sense in SENSES if _holds(getattr(record, sense)))
        for caption in record.captions:
            if caption.kind in KINDS:
                self.supply[KINDS[caption.kind]] += 1
            self.words[len(_WORD.findall(caption.text))] += 1
            self.said.append(hash(caption.text.casefold()))
            self.under.append(record.id)
            if caption.language:
                self.languages[caption.language] += 1

    def repeated(self) -> int:
        """How many different captions stand under two images or more."""
        pairs = np.stack([np.array(self.said, dtype=np.int64), np.array(self.under, dtype=np.int64)], axis=1)
        texts = np.unique(pairs, axis=0)[:, 0]
        return int((np.unique(texts, return_counts=True)[1] > 1).sum())


def survey(
    sources: Source | Sequence[Source], decode: Callable[[ImageLike], Image.Image], sample: int = SAMPLE
) -> Survey:
    """Reads all records of tables and the first of evenly spaced units of streams, checks that image files exist, and
    decodes `sample` pictures of each source, evenly spaced; if all of those fail, the others until one is readable.

    decode: gives the picture, or raises a DataError, whose `cause` is counted. What fails is counted here and left to
    the reader of the data to skip. Raises DataError when a source has nothing usable.
    """
    several = [sources] if isinstance(sources, Table | Stream) else list(sources)
    count, problems = _Count(), Problems()
    for source in several:
        skipped = Problems()
        before = len(count.sizes)
        length, record = _look(source, count, skipped)
        count.sizes += _decoded(length, record, skipped, decode, sample)
        skipped.merge(source.problems)
        if len(count.sizes) == before:
            found = ". ".join(skipped.lines()) or "it is empty"
            raise DataError(f"{source.name}: none of its images can be used: {found}.")
        problems.merge(skipped)
    return _result(several, count, problems)


def need_captions(survey: Survey) -> None:
    """Raises DataError when there is not one caption: the data may have been opened for its labels only."""
    if not survey.captions:
        raise DataError(f"{', '.join(survey.names)}: there are no captions. Say which column holds them.")


def _look(source: Source, count: _Count, skipped: Problems) -> tuple[int, Callable[[int], Record]]:
    """Counts what can be counted without decoding; gives the usable records by number."""
    if isinstance(source, Stream):
        held = [record for record in _streamed(source) if _present(record, skipped)]
        for record in held:
            count.add(record)
        return len(held), held.__getitem__
    usable = array("q")
    for i in range(len(source)):
        record = source[i]
        if _present(record, skipped):
            usable.append(i)
            count.add(record)
    return len(usable), lambda k: source[usable[k]]


def _holds(seen: Any) -> bool:
    return seen is not None and not (isinstance(seen, tuple) and not seen)


def _present(record: Record, skipped: Problems) -> bool:
    if isinstance(record.image, Path) and not record.image.is_file():
        skipped.add("missing image file", record.name)
        return False
    return True


def _streamed(stream: Stream) -> Iterator[Record]:
    """The first records of evenly spaced units; of later units more when earlier ones have few."""
    units = stream.units()
    chosen = [units[i] for i in _spaced(len(units), UNITS)]
    left = STREAMED
    for k, unit in enumerate(chosen):
        for record in islice(stream.read(unit), -(-left // (len(chosen) - k))):
            left -= 1
            yield record


def _spaced(length: int, count: int) -> list[int]:
    """At most `count` numbers below `length`, evenly spaced."""
    return sorted({round(x) for x in np.linspace(0, length - 1, min(count, length))})


def _decoded(
    length: int,
    record: Callable[[int], Record],
    skipped: Problems,
    decode: Callable[[ImageLike], Image.Image],
    sample: int,
) -> list[tuple[int, int]]:
    """The sizes of the sampled pictures that can be decoded; of the first that can, when none of the sample can."""
    first = _spaced(length, sample)
    sizes = [size for i in first if (size := _size(record(i), skipped, decode))]
    if sizes:
        return sizes
    others = sorted(set(range(length)) - set(first))
    found = (size for i in others if (size := _size(record(i), skipped, decode)))
    return list(islice(found, 1))


def _size(record: Record, skipped: Problems, decode: Callable[[ImageLike], Image.Image]) -> tuple[int, int] | None:
    try:
        return decode(record.image).size
    except DataError as error:
        skipped.add(getattr(error, "cause", "unreadable image"), record.name)
        return None


def _result(sources: list[Source], count: _Count, problems: Problems) -> Survey:
    return Survey(
        names=tuple(source.name for source in sources),
        complete=not any(isinstance(source, Stream) for source in sources),
        items=count.items,
        supply={name: count.supply[name] for name in (*KINDS.values(), *SENSES)},
        captions_per_image=dict(count.per_image),
        words=dict(count.words),
        languages=dict(count.languages),
        labels=len(count.labels),
        repeated_captions=count.repeated(),
        sizes=tuple(count.sizes),
        skipped=dict(problems.counts.most_common()),
        examples={cause: tuple(names) for cause, names in problems.examples.items()},
    )
