"""Retrieval between texts and what another sensor saw, such as depth maps.

Girdhar et al., "ImageBind: One Embedding Space To Bind Them All", 2023: texts and depth that were never paired.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from dovetail.contracts import Features
from dovetail.data.records import DataError, ImageLike, Problems, Record
from dovetail.data.sources import Stream, Table
from dovetail.evaluation.benchmarks import BATCH, DualModel, Evidence, records_of, true_texts, with_captions
from dovetail.evaluation.matching import as_features
from dovetail.evaluation.result import Result
from dovetail.evaluation.retrieval import KS, retrieval
from dovetail.models.embedding import pieces
from dovetail.ops.features import joined


@dataclass(frozen=True)
class SenseBenchmark:
    """Which caption belongs to which depth map (or video), both ways; records without one are counted as skipped.

    A model that has a tower for the sense (see `DualEncoder.senses`) reads it by that, another one by its image tower:
    depth as a grey picture, of a video the first frame. Raises DataError, when called, if nothing usable is left.
    """

    source: Table | Stream
    sense: str = "depth"
    name: str = "senses"
    ks: tuple[int, ...] = KS

    def __call__(self, model: DualModel) -> Result:
        """Recall at each of `ks`, median rank and `mean_recall`; named as in `RetrievalResult`, `image` being what the
        sense saw."""
        problems = Problems()
        records = list(self._sensed(with_captions(records_of(self.source), problems), problems))
        if not records:
            raise DataError(f"{self.name}: no record has {self.sense} and a caption: {'; '.join(problems.lines())}")
        seen = joined([self._features(model, part) for part in pieces(records, BATCH)])
        texts = [(text, i) for i, record in enumerate(records) for text in true_texts(record)]
        captions = as_features(model.encode_text([text for text, _ in texts]), "text")
        owner, ids = torch.tensor([i for _, i in texts]), torch.tensor([record.id for record in records])
        problems.merge(self.source.problems)
        full = retrieval(seen, captions, owner, ids, model.similarity, self.ks)
        return Result(
            name=self.name,
            figures=full.figures,
            chance=full.chance,
            counts={self.sense: len(records), "captions": len(texts)},
            skipped=problems,
            evidence=Evidence(records, seen, full, [text for text, _ in texts], captions, owner),
        )

    def _sensed(self, records: Iterator[Record], problems: Problems) -> Iterator[Record]:
        for record in records:
            if self._frames(record):
                yield record
            else:
                problems.add(f"no {self.sense}", record.name)

    def _frames(self, record: Record) -> Sequence[ImageLike]:
        found: Any = getattr(record, self.sense)
        return () if found is None else found if isinstance(found, tuple) else (found,)

    def _features(self, model: Any, records: Sequence[Record]) -> Features:
        frames = [self._frames(record) for record in records]
        if self.sense in getattr(model, "senses", ()):
            return as_features(model.encode_sense(self.sense, frames), self.sense)
        return as_features(model.encode_image([item[0] for item in frames]), "image")
