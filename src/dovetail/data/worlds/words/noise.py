"""Noise in captions, as in captions from the web, each sort at its stated rate."""

from collections.abc import Callable
from dataclasses import astuple, dataclass, fields
from typing import NamedTuple

from dovetail.data.records import DataError
from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.facts import Scene
from dovetail.data.worlds.words.mistakes import holds, mistaken, vague
from dovetail.data.worlds.words.plan import plan
from dovetail.data.worlds.words.statements import Statement

_TRIES = 16  # other scenes, to find something that is false of this one

SceneAt = Callable[[int, int], Scene]
"""The scene of (seed, index), such as a Sampler."""


@dataclass(frozen=True)
class Noise:
    """The rates (0..1, together at most 1) at which a caption is hit. It is hit by one sort of noise, or by none.

    wrong: one thing about it is false. vague: true, with its attributes dropped (`a circle and a square`) or next to
    nothing told (`some shapes`). swapped: another scene's caption, false of this one. missing: there is no caption; a
    record may end with none. duplicated: said twice.

    Raises DataError for a rate out of range, and where they exceed 1 together.
    """

    wrong: float = 0.0
    vague: float = 0.0
    swapped: float = 0.0
    missing: float = 0.0
    duplicated: float = 0.0

    def __post_init__(self) -> None:
        for name, rate in zip(SORTS, astuple(self), strict=True):
            if not 0 <= rate <= 1:
                raise DataError(f"{name}={rate}: expected a rate between 0 and 1")
        if sum(astuple(self)) > 1 + 1e-9:
            raise DataError(f"{self}: expected rates that are at most 1 together, as a caption is hit by one sort only")

    def hits(self, draws: Draws) -> str | None:
        """What hits the next caption: one of SORTS, or nothing."""
        at, up_to = draws.below(1 << 32), 0.0
        for name, rate in zip(SORTS, astuple(self), strict=True):
            up_to += rate
            if at < up_to * 2**32:
                return name
        return None


SORTS = tuple(field.name for field in fields(Noise))
FALSE = ("wrong", "swapped")


class Told(NamedTuple):
    """What is told after all: of which kind (out of TELLS), and the noise that hit it."""

    tell: str
    statement: Statement
    noise: str | None


def noisy(
    scene: Scene,
    key: tuple[int, int],
    tells: tuple[str, ...],
    noise: Noise,
    others: SceneAt,
    spared: tuple[str, ...] = (),
) -> list[Told]:
    """The scene's plan with noise: a statement each, those included that noise makes missing.

    others: where the scenes of swapped captions come from. spared: kinds that noise never hits.
    """
    draws, told = Draws("noise", *key), []
    for index, (tell, statement) in enumerate(plan(scene, key, tells)):
        hit = None if tell in spared else noise.hits(draws)
        if hit == "wrong":
            statement = mistaken(statement, scene, draws)
        elif hit == "vague":
            statement = vague(statement, scene, Draws("vague", index, *key))
        elif hit == "swapped":
            statement = _swapped(tell, statement, scene, others, Draws("swapped", index, *key))
        told.append(Told(tell, statement, hit))
    return told


def _swapped(tell: str, statement: Statement, scene: Scene, others: SceneAt, draws: Draws) -> Statement:
    """Another scene's caption of that kind; a mistaken one where all scenes are too much alike."""
    for _ in range(_TRIES):
        key = draws.below(1 << 31), draws.below(1 << 31)
        false = [said for _, said in plan(others(*key), key, (tell,)) if not holds(said, scene)]
        if false:
            return draws.pick(false)
    return mistaken(statement, scene, draws)
