"""What the benchmarks on worlds share: scenes with the questions put to them, and texts encoded once each."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from dovetail.contracts import Features
from dovetail.data.records import Problems, Record
from dovetail.data.worlds import Scenes
from dovetail.evaluation.benchmarks import DualModel
from dovetail.evaluation.matching import as_features
from dovetail.ops.features import take

Key = tuple[int, int]
"""Seed and index of a scene."""


def questioned(
    source: Scenes, ask: Callable[[Record, Key], Sequence[Any]], problems: Problems, lacking: str
) -> Iterator[Record]:
    """The records of which there is something to ask, with the questions in extra["questions"].

    lacking: the cause by which the others are counted.
    """
    for index in range(len(source)):
        record = source[index]
        questions = tuple(ask(record, (source.seed, source.first + index)))
        if questions:
            yield replace(record, extra={**record.extra, "questions": questions})
        else:
            problems.add(lacking, record.name)


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts and their embeddings: call it with some of the texts for their features, in that order."""

    features: Features
    row: Mapping[str, int]

    def __call__(self, texts: Sequence[str]) -> Features:
        """The features of `texts`, one row each."""
        return take(self.features, torch.tensor([self.row[text] for text in texts]))


def encoded_texts(model: DualModel, texts: Iterable[str], device: torch.device) -> Texts:
    """Every different text encoded once, its features on `device`."""
    different = list(dict.fromkeys(texts))
    features = as_features(model.encode_text(different), "text").to(device)
    return Texts(features, {text: i for i, text in enumerate(different)})
