"""The protocols, each with its items: call one with a model and get a `Result`.

A model is asked for what it can do, never for what it is: see `DualModel`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import torch
from jaxtyping import Int
from torch import Tensor

from dovetail.contracts import Features, Kind, Similarity
from dovetail.data.records import DataError, ImageLike, Problems, Record
from dovetail.data.sources import Stream, Table
from dovetail.data.stream import in_order
from dovetail.evaluation.matching import as_features
from dovetail.evaluation.result import Result
from dovetail.evaluation.retrieval import KS, RetrievalResult, retrieval
from dovetail.evaluation.zeroshot import PHOTO, ZeroShotResult, check_templates, class_embeddings, classification
from dovetail.ops.features import joined

BATCH = 256  # records read and pictures handed to the model at once


class DualModel(Protocol):
    """What these benchmarks need: embeddings (one row an item) of pictures and of texts, and how to compare them.

    Both may return an array, a tensor, or Features where the similarity looks at tokens. encode_image raises DataError
    for a picture that cannot be used; the error may carry a `cause` to count it by.
    """

    similarity: Similarity

    def encode_image(self, images: list[ImageLike]) -> Any: ...

    def encode_text(self, texts: list[str]) -> Any: ...


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a result came from: the records that were used, their embeddings, and the measurement in full.

    texts and owner: the captions (retrieval), owner[i] being the record that texts[i] belongs to.
    """

    records: Sequence[Record]
    images: Features
    full: RetrievalResult | ZeroShotResult
    texts: Sequence[str] = ()
    captions: Features | None = None
    owner: Int[Tensor, " t"] | None = None


@dataclass(frozen=True)
class RetrievalBenchmark:
    """Which caption belongs to which image, both ways, over the records of a source. Negative captions are left out.

    kinds: only captions of these kinds, such as (Kind.LONG,); None means all. limit: no more than so many records.
    Raises DataError, when called, if nothing usable is left.
    """

    source: Table | Stream
    name: str = "retrieval"
    ks: tuple[int, ...] = KS
    limit: int | None = None
    kinds: tuple[Kind, ...] | None = None

    def __call__(self, model: DualModel) -> Result:
        """Recall at each of `ks` and median rank; see `RetrievalResult` for the names."""
        problems = Problems()
        captioned = with_captions(records_of(self.source, self.limit), problems, self.kinds)
        records, images = encoded(model, captioned, problems)
        texts = [(text, i) for i, record in enumerate(records) for text in true_texts(record, self.kinds)]
        captions = as_features(model.encode_text([text for text, _ in texts]), "text")
        owner = torch.tensor([i for _, i in texts])
        ids = torch.tensor([record.id for record in records])
        problems.merge(self.source.problems)
        full = retrieval(images, captions, owner, ids, model.similarity, self.ks)
        return Result(
            name=self.name,
            figures=full.figures,
            chance=full.chance,
            counts={"images": len(records), "captions": len(texts)},
            skipped=problems,
            evidence=Evidence(records, images, full, [text for text, _ in texts], captions, owner),
        )


@dataclass(frozen=True)
class ZeroShotBenchmark:
    """Which of the class names an image shows, over the records of a source that carry a label.

    class_names: None means the labels that occur, sorted. limit: no more than so many records. Raises DataError, when
    called, for templates without {} and if nothing usable is left.
    """

    source: Table | Stream
    class_names: tuple[str, ...] | None = None
    templates: tuple[str, ...] = PHOTO
    name: str = "zero-shot"
    limit: int | None = None

    def __call__(self, model: DualModel) -> Result:
        """Accuracies, named as in `ZeroShotResult`; details hold every class's and the worst confusions."""
        check_templates(self.templates)
        problems = Problems()
        labelled = _labelled(records_of(self.source, self.limit), self.class_names, problems)
        records, images = encoded(model, labelled, problems)
        names = self.class_names or tuple(sorted({str(record.label) for record in records}))
        number = {name: i for i, name in enumerate(names)}
        labels = torch.tensor([number[str(record.label)] for record in records])
        classes = class_embeddings(model.encode_text, names, self.templates)
        problems.merge(self.source.problems)
        full = classification(images, classes, labels, names, model.similarity)
        return Result(
            name=self.name,
            figures=full.figures,
            chance=full.chance,
            counts={"images": len(records), "classes": len(names)},
            skipped=problems,
            details={
                "templates": list(self.templates),
                "per_class": dict(full.per_class),
                "confusions": [vars(confusion) for confusion in full.confusions[:20]],
            },
            evidence=Evidence(records, images, full),
        )


def records_of(source: Table | Stream, limit: int | None = None) -> Iterator[Record]:
    """The source's records in its order, at most `limit` of them."""
    return islice((draw.record for batch in in_order(source, BATCH) for draw in batch), limit)


def true_texts(record: Record, kinds: tuple[Kind, ...] | None = None) -> list[str]:
    """The captions of these kinds (None: of all) that are true of the image."""
    wanted = set(Kind if kinds is None else kinds) - {Kind.NEGATIVE}
    return [c.text for c in record.captions if c.kind in wanted and c.text.strip()]


def with_captions(
    records: Iterator[Record], problems: Problems, kinds: tuple[Kind, ...] | None = None
) -> Iterator[Record]:
    """The records that have a true caption of these kinds; the others are counted."""
    for record in records:
        if true_texts(record, kinds):
            yield record
        else:
            problems.add("no caption", record.name)


def _labelled(records: Iterator[Record], names: Sequence[str] | None, problems: Problems) -> Iterator[Record]:
    known = None if names is None else set(names)
    for record in records:
        if record.label is None:
            problems.add("no label", record.name)
        elif known is not None and record.label not in known:
            problems.add("label not among the classes", f"{record.name}: {record.label}")
        else:
            yield record


def encoded(model: DualModel, records: Iterator[Record], problems: Problems) -> tuple[list[Record], Features]:
    """The records whose picture the model could encode, and their embeddings; the others are counted.

    Raises DataError when none is left.
    """
    used: list[Record] = []
    found: list[Features] = []
    while batch := list(islice(records, BATCH)):
        try:
            parts = [(batch, model.encode_image([record.image for record in batch]))]
        except DataError:  # somewhere in the batch: one by one, to name it
            parts = list(_one_by_one(model, batch, problems))
        for some, embeddings in parts:
            used += some
            found.append(as_features(embeddings, "image"))
    if not used:
        raise DataError("nothing is left to evaluate: " + ("; ".join(problems.lines()) or "there are no records"))
    return used, joined(found)


def _one_by_one(model: DualModel, batch: list[Record], problems: Problems) -> Iterator[tuple[list[Record], Any]]:
    for record in batch:
        try:
            yield [record], model.encode_image([record.image])
        except DataError as error:
            problems.add(getattr(error, "cause", "unusable image"), record.name)
