"""Counting on captions: of a caption with each number in turn, which one is true of the picture?

Paiss et al., "Teaching CLIP to Count to Ten", 2023 (CountBench).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch

from dovetail.data.counting import Count, counted
from dovetail.data.falsehoods import english
from dovetail.data.records import Problems, Record
from dovetail.data.sources import Stream, Table
from dovetail.data.vocabulary import NUMBERS
from dovetail.evaluation.benchmarks import DualModel, encoded, records_of
from dovetail.evaluation.choosing import chosen
from dovetail.evaluation.intervals import bootstrap, mean
from dovetail.evaluation.result import Result
from dovetail.evaluation.worlds.asking import encoded_texts
from dovetail.evaluation.worlds.counting import ACCURACY, ERROR
from dovetail.ops.features import take
from dovetail.ops.similarity import compare

SAID = "count"


@dataclass(frozen=True)
class CaptionCountingBenchmark:
    """Which of two, ..., ten a picture shows, asked with the first of its captions that counts, in English.

    Records without such a caption are counted as skipped. limit: no more than so many records. Raises DataError, when
    called, if nothing usable is left.
    """

    source: Table | Stream
    limit: int | None = None
    name: str = "counting on captions"

    def __call__(self, model: DualModel) -> Result:
        """`count/accuracy`, a share of 0..1, and `count/mean_absolute_error`, in things. chance: every number alike."""
        problems = Problems()
        records, images = encoded(model, _counting(records_of(self.source, self.limit), problems), problems)
        problems.merge(self.source.problems)
        asked: list[Count] = [record.extra[SAID] for record in records]
        numbers = torch.arange(2, 2 + len(NUMBERS))
        said = [[count.saying(n) for n in numbers.tolist()] for count in asked]
        texts = encoded_texts(model, (text for each in said for text in each), images.pooled.device)
        picked = [
            chosen(compare(model.similarity, take(images, torch.tensor([i])), texts(each)))
            for i, each in enumerate(said)
        ]
        answers = torch.cat(picked)
        error = (numbers - torch.tensor([count.number for count in asked])[:, None]).abs().double()
        statistics = {ACCURACY: mean((answers * (error == 0)).sum(1)), ERROR: mean((answers * error).sum(1))}
        return Result(
            name=self.name,
            figures=bootstrap(statistics, len(asked), shares=[ACCURACY]),
            chance={ACCURACY: 1 / len(NUMBERS), ERROR: float(error.mean())},
            counts={"images": len(asked), "numbers": len(NUMBERS)},
            skipped=problems,
        )


def _counting(records: Iterable[Record], problems: Problems) -> Iterator[Record]:
    """The records with a caption that counts, which goes with them."""
    for record in records:
        found = next((count for c in english(record) if (count := counted(c.text))), None)
        if found is None:
            problems.add("no caption that counts", record.name)
        else:
            yield replace(record, extra={SAID: found})
