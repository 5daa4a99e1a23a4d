"""Region phrases: which part of the picture does `a large striped red circle` speak of?"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8

from dovetail.data.records import DataError, Problems, Record
from dovetail.data.worlds.facts import Scene
from dovetail.data.worlds.scenes import Scenes
from dovetail.data.worlds.words.statements import FULL, Mention
from dovetail.evaluation.benchmarks import DualModel, encoded
from dovetail.evaluation.choosing import chosen
from dovetail.evaluation.intervals import bootstrap, mean
from dovetail.evaluation.result import Result
from dovetail.evaluation.worlds.asking import Key, encoded_texts, questioned
from dovetail.ops.features import take
from dovetail.ops.similarity import compare

PHRASE = "phrase_to_region/accuracy"


class Phrase(NamedTuple):
    """A region's phrase and the things it fits."""

    text: str
    right: frozenset[int]


@dataclass(frozen=True)
class LocalisationBenchmark:
    """Every thing's box is cut out of the picture; each region's phrase chooses the cut that it is most like.

    A phrase that fits several things is right about each of them; one that fits all is not asked.
    A phrase about a thing too small for the model to read counts as missed.
    margin: what is cut around a box on every side, as a share of its longer side; cuts are square within the picture.
    Raises DataError for a negative margin and, when called, if no scene has two things that differ.
    """

    source: Scenes
    margin: float = 0.1
    name: str = "localisation"

    def __post_init__(self) -> None:
        if self.margin < 0:
            raise DataError(f"margin={self.margin}: expected a share of the box's longer side, 0 or more")

    def __call__(self, model: DualModel) -> Result:
        """`phrase_to_region/accuracy`, a share of 0..1 of the phrases; chance is the mean share of right regions."""
        problems = Problems()
        records, crops = encoded(model, self._crops(problems), problems)
        phrases = [phrase.text for record in records for phrase in record.extra["questions"]]
        texts = encoded_texts(model, phrases, crops.pooled.device)
        right, blind, scene, scenes = [], [], [], 0
        for _, group in groupby(range(len(records)), lambda row: records[row].name):
            rows = torch.tensor(list(group))
            things = [records[row].extra["thing"] for row in rows.tolist()]
            asked = records[int(rows[0])].extra["questions"]
            options = chosen(compare(model.similarity, texts([phrase.text for phrase in asked]), take(crops, rows)))
            fits = torch.tensor([[thing in phrase.right for thing in things] for phrase in asked]).double()
            right.append((options * fits).sum(1))
            blind.append(fits.mean(1))
            scene += [scenes] * len(asked)
            scenes += 1
        statistic = mean(torch.cat(right), torch.tensor(scene))
        return Result(
            name=self.name,
            figures=bootstrap({PHRASE: statistic}, scenes, shares=[PHRASE]),
            chance={PHRASE: float(torch.cat(blind).mean())},
            counts={"images": scenes, "regions": len(records), "phrases": len(scene)},
            skipped=problems,
        )

    def _crops(self, problems: Problems) -> Iterator[Record]:
        """A record for every thing, its picture cut out."""
        for record in questioned(self.source, _phrases, problems, "no two things that differ"):
            picture = np.asarray(record.image)
            for thing, region in enumerate(record.regions):
                yield replace(
                    record, image=crop(picture, region.box, self.margin), extra={**record.extra, "thing": thing}
                )


def _phrases(record: Record, key: Key) -> tuple[Phrase, ...]:
    scene: Scene = record.extra["scene"]
    facts = [Mention(thing, FULL).facts for thing in scene.things]
    fitting = [frozenset(i for i, other in enumerate(facts) if other == own) for own in facts]
    regions = zip(record.regions, fitting, strict=True)
    return tuple(Phrase(region.phrase, right) for region, right in regions if len(right) < len(facts))


def crop(
    picture: UInt8[np.ndarray, "h w 3"], box: tuple[float, float, float, float], margin: float
) -> UInt8[np.ndarray, "_ _ 3"]:
    """A square around the box (left, top, right, bottom: fractions) with the margin, cut off at the picture's edge."""
    height, width = picture.shape[:2]
    left, top, right, bottom = box[0] * width, box[1] * height, box[2] * width, box[3] * height
    half = max(right - left, bottom - top) * (0.5 + margin)
    across, down = (left + right) / 2, (top + bottom) / 2
    rows = slice(max(0, math.floor(down - half)), math.ceil(down + half))
    cols = slice(max(0, math.floor(across - half)), math.ceil(across + half))
    return picture[rows, cols].copy()
