"""Counting: a red circle, two red circles, three red circles, ...: which of them does the picture show?"""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import torch

from dovetail.data.records import DataError, Problems, Record
from dovetail.data.worlds.scenes import Scenes
from dovetail.data.worlds.words.statements import Counted, Mention
from dovetail.data.worlds.words.truth import Steady
from dovetail.evaluation.benchmarks import DualModel, encoded
from dovetail.evaluation.choosing import chosen
from dovetail.evaluation.intervals import bootstrap, mean
from dovetail.evaluation.result import Result
from dovetail.evaluation.worlds.asking import Key, encoded_texts, questioned
from dovetail.ops.features import take
from dovetail.ops.similarity import compare

ACCURACY, ERROR = "count/accuracy", "count/mean_absolute_error"


class Question(NamedTuple):
    """How many there are, and the texts for one, two, three, ... of them."""

    number: int
    texts: tuple[str, ...]


@dataclass(frozen=True)
class CountingBenchmark:
    """How many things there are of the most frequent combination of colour and shape: from one to as many as the world
    allows things. The texts of a question differ in the number alone.

    Scenes of `Sampler(alike=1.0)` repeat one look; in others most answers are one. Raises DataError, when called, for a
    world of single things and if nothing usable is left.
    """

    source: Scenes
    name: str = "counting"

    def __call__(self, model: DualModel) -> Result:
        """`count/accuracy`, a share of 0..1, and `count/mean_absolute_error`, in things. chance: every number alike."""
        if self.most < 2:
            raise DataError(f"{self.name}: a world of single things has nothing to count; allow several objects")
        problems = Problems()
        records, images = encoded(model, questioned(self.source, self._question, problems, "nothing"), problems)
        asked: list[Question] = [record.extra["questions"][0] for record in records]
        texts = encoded_texts(model, (text for question in asked for text in question.texts), images.pooled.device)
        picked = [
            chosen(compare(model.similarity, take(images, torch.tensor([i])), texts(question.texts)))
            for i, question in enumerate(asked)
        ]
        numbers = torch.arange(1, self.most + 1)
        error = (numbers - torch.tensor([question.number for question in asked])[:, None]).abs().double()
        answers = torch.cat(picked)
        statistics = {
            ACCURACY: mean((answers * (error == 0)).sum(1)),
            ERROR: mean((answers * error).sum(1)),
        }
        return Result(
            name=self.name,
            figures=bootstrap(statistics, len(asked), shares=[ACCURACY]),
            chance={ACCURACY: 1 / self.most, ERROR: float(error.mean())},
            counts={"images": len(asked), "numbers": self.most},
            skipped=problems,
        )

    @property
    def most(self) -> int:
        """The largest number to choose from."""
        return self.source.world.sampler.objects[1]

    def _question(self, record: Record, key: Key) -> tuple[Question]:
        things = record.extra["scene"].things
        name, count = Counter(thing.name for thing in things).most_common(1)[0]
        look = Mention(next(thing for thing in things if thing.name == name), frozenset(("colour",)))
        language = self.source.world.telling.language
        texts = (
            language.say(Counted(look, number), Steady("counting", language.code, *key))
            for number in range(1, self.most + 1)
        )
        return (Question(count, tuple(texts)),)
