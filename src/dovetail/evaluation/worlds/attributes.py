"""Zero-shot classification by one attribute at a time: which colour, shape, size or texture a single thing has."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from jaxtyping import Float
from torch import Tensor

from dovetail.contracts import Features, Similarity
from dovetail.data.records import DataError, Problems, Record
from dovetail.data.worlds import Scenes, Thing, Vocabulary
from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.words.statements import Mention
from dovetail.evaluation.benchmarks import DualModel, encoded, records_of
from dovetail.evaluation.choosing import chosen
from dovetail.evaluation.intervals import bootstrap, mean
from dovetail.evaluation.result import Result
from dovetail.evaluation.worlds.asking import encoded_texts
from dovetail.ops.features import joined, take
from dovetail.ops.similarity import compare, normalize

COMBINATION = "combination"  # of colour and shape
Classes = dict[str, tuple[str, ...]]
"""The texts that describe each class."""


@dataclass(frozen=True)
class AttributeBenchmark:
    """Which word for an attribute fits a scene of a single thing; scenes of several are counted as skipped.

    A class is the normalised mean of the normalised embeddings of texts about every combination of colour and shape
    that carries it: `red` is the mean over `a red circle`, `a red square`, ...; `large` that over `a large red circle`
    and so on. vocabulary: the words to choose from; None means those of the source, so that a source of few words is
    an easier task.
    Raises DataError, when called, if nothing usable is left and if the vocabulary leaves nothing to choose.
    """

    source: Scenes
    vocabulary: Vocabulary | None = None
    name: str = "attributes"

    def __call__(self, model: DualModel) -> Result:
        """`colour/top1`, `shape/top1`, `size/top1`, `texture/top1` and `combination/top1` (colour and shape): shares of
        0..1, of the attributes that have two words or more. details hold the accuracy of every class.
        """
        classes = self.classes()
        if not classes:
            raise DataError(f"{self.name}: the vocabulary has one word for every attribute; allow two of one at least")
        problems = Problems()
        records, images = encoded(model, self._single(classes, problems), problems)
        told_of_all = (text for told in classes.values() for texts in told.values() for text in texts)
        texts = encoded_texts(model, told_of_all, images.pooled.device)
        statistics, chance, per_class = {}, {}, {}
        for attribute, told in classes.items():
            names = list(told)
            labels = torch.tensor([names.index(_word(r.extra["scene"].things[0], attribute)) for r in records])
            scores = class_scores(model.similarity, images, [texts(of) for of in told.values()])
            right = chosen(scores).gather(1, labels[:, None])[:, 0]
            statistics[f"{attribute}/top1"], chance[f"{attribute}/top1"] = mean(right), 1 / len(names)
            per_class[attribute] = {names[c]: float(right[labels == c].mean()) for c in labels.unique().tolist()}
        figures = bootstrap(statistics, len(records), shares=statistics)
        counts = {"images": len(records), "texts": len(texts.row)}
        return Result(self.name, figures, chance, counts, problems, {"per_class": per_class})

    def classes(self) -> dict[str, Classes]:
        """For every attribute with a choice, its words and the texts of each."""
        words = self.vocabulary or self.source.world.sampler.vocabulary
        language = self.source.world.telling.language
        names = [tuple(name.split()) for name in words.names]
        draws = Draws("attributes", language.code)

        def about(attribute: str, word: str) -> tuple[str, ...]:
            told = frozenset((attribute, "colour"))
            fitting = [_thing(colour, shape, {attribute: word}) for colour, shape in names]
            return tuple(language.phrase(Mention(thing, told), draws) for thing in fitting)

        prompts = {(colour, shape): language.prompts(colour, shape) for colour, shape in names}
        found: dict[str, Classes] = {
            "colour": {c: tuple(t for key, of in prompts.items() if key[0] == c for t in of) for c in words.colours},
            "shape": {s: tuple(t for key, of in prompts.items() if key[1] == s for t in of) for s in words.shapes},
            "size": {size: about("size", size) for size in words.sizes},
            "texture": {texture: about("texture", texture) for texture in words.textures},
            COMBINATION: {" ".join(key): of for key, of in prompts.items()},
        }
        told = {a: {word: texts for word, texts in classes.items() if texts} for a, classes in found.items()}
        return {attribute: classes for attribute, classes in told.items() if len(classes) > 1}

    def _single(self, classes: dict[str, Classes], problems: Problems) -> Iterator[Record]:
        for record in records_of(self.source):
            things = record.extra["scene"].things
            if len(things) > 1:
                problems.add("several things", record.name)
            elif any(_word(things[0], attribute) not in told for attribute, told in classes.items()):
                problems.add("not of the vocabulary", f"{record.name}: {things[0].name}")
            else:
                yield record


def class_scores(similarity: Similarity, images: Features, told: Sequence[Features]) -> Float[Tensor, "b c"]:
    """How much each of b images is like each of c classes, given the texts of every class.

    A similarity of pooled vectors sees the class as a mean of directions. One that looks at tokens cannot: there the
    class scores the mean of its texts' scores.
    """
    if not similarity.tokens:
        means = torch.stack([normalize(normalize(texts.pooled).mean(0)) for texts in told])
        return compare(similarity, images, Features(means))
    ends = list(accumulate(len(texts.pooled) for texts in told))
    every, size = joined(told), len(images.pooled)
    # An image at a time: tokens against tokens take much memory.
    one_by_one = (compare(similarity, take(images, torch.tensor([i])), every) for i in range(size))
    parts = (torch.tensor_split(scores, ends[:-1], dim=1) for scores in one_by_one)
    return torch.cat([torch.stack([part.mean(1) for part in row], 1) for row in parts])


def _thing(colour: str, shape: str, told: dict[str, str]) -> Thing:
    """Something to talk about; what is not told of it does not matter."""
    return Thing(shape, colour, told.get("size", "medium"), told.get("texture", "plain"), 500, 500, 100)


def _word(thing: Thing, attribute: str) -> str:
    return str(thing.name if attribute == COMBINATION else getattr(thing, attribute))
