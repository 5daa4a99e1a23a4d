"""Splits that test something: worlds for training and for test that differ in one respect."""

from dataclasses import dataclass
from typing import NamedTuple

from dovetail.data.records import DataError
from dovetail.data.worlds.facts import COLOURS, SHAPES
from dovetail.data.worlds.pictures.styles import STYLES
from dovetail.data.worlds.sampling import Sampler, Vocabulary
from dovetail.data.worlds.scenes import Scenes, World
from dovetail.data.worlds.words.captions import Telling

HELD_OUT = tuple(f"{colour} {shape}" for colour, shape in zip(COLOURS, SHAPES, strict=True))
"""One combination of each colour and each shape: both words are learnt, in other company."""


@dataclass(frozen=True)
class Shift:
    """What changes between training and test."""

    asks: str  # the question that the test answers
    train: World
    test: World


class Split(NamedTuple):
    """Tables that share no scene."""

    train: Scenes
    test: Scenes


SHIFTS: dict[str, Shift] = {
    "held-out combinations": Shift(
        "Are things understood whose colour and shape were never seen together?",
        World(Sampler(vocabulary=Vocabulary().without(*HELD_OUT))),
        World(Sampler(vocabulary=Vocabulary().only(*HELD_OUT))),
    ),
    "long tail": Shift(
        "Are categories understood that were hardly ever seen? The test draws all of them evenly.",
        World(Sampler((1, 1), tail=1.5)),
        World(Sampler((1, 1))),
    ),
    "textured style": Shift(
        "Does what was learnt from flat pictures hold in natural-looking ones?",
        World(style=STYLES["flat"]),
        World(style=STYLES["textured"]),
    ),
    "solid style": Shift(
        "Does what was learnt from flat pictures hold in space?",
        World(style=STYLES["flat"]),
        World(style=STYLES["solid"]),
    ),
    "viewpoints": Shift(
        "Does what was learnt from the front hold from the sides?",
        World(Sampler(viewpoints=("front",)), STYLES["solid"]),
        World(Sampler(viewpoints=("left", "right", "above", "below")), STYLES["solid"]),
    ),
    "crowded": Shift(
        "Does what was learnt from few things hold for many?",
        World(Sampler((1, 4))),
        World(Sampler((6, 10))),
    ),
    "rare words": Shift(
        "Are words understood that captions hardly ever used? The test uses them wherever it can.",
        World(telling=Telling(rare=0.02)),
        World(telling=Telling(rare=1.0)),
    ),
}


def split(name: str, train: int = 20_000, test: int = 2_000, seed: int = 0, size: int = 64) -> Split:
    """The tables of a shift, with so many scenes each. size: of the pictures, in pixels.

    Raises DataError for a name that is not one of SHIFTS and for numbers out of range.
    """
    if name not in SHIFTS:
        raise DataError(f"unknown split: {name}; there are {', '.join(SHIFTS)}")
    shift = SHIFTS[name]
    return Split(Scenes(train, seed, size, shift.train), Scenes(test, seed, size, shift.test, first=train))
