"""How the facts of a scene are drawn."""

from bisect import bisect
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from itertools import accumulate

from dovetail.data.records import DataError
from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.facts import (
    BACKGROUNDS,
    COLOURS,
    MOTIONS,
    SHAPES,
    SIZES,
    TEXTURES,
    UNIT,
    VIEWPOINTS,
    Scene,
    Thing,
)
from dovetail.data.worlds.motions import extent
from dovetail.data.worlds.pictures.lettering import WORDS_WRITTEN, ground

MOST_OBJECTS = 10
RADIUS = {"small": 136, "medium": 184, "large": 244}
_JITTER = 6  # radii vary by +- this many, far less than the sizes differ
_TILT = 20  # degrees either way; a square turned by 45 would be a diamond
GAP = 12  # between the circles around two things, and between one and the edge
_TRIES = 12  # places for one thing
_LAYOUTS = 10  # for one draw of looks
_REDRAWS = 8  # of looks, before everything in a crowded scene is made smaller, by _SHRINK at a time
_SHRINK = 4  # per cent


@dataclass(frozen=True)
class Vocabulary:
    """What things may be: the words to draw from, and the combinations of colour and shape (`red circle`) held out."""

    shapes: tuple[str, ...] = SHAPES
    colours: tuple[str, ...] = COLOURS
    sizes: tuple[str, ...] = SIZES
    textures: tuple[str, ...] = TEXTURES
    backgrounds: tuple[str, ...] = ("white", "cream", "grey")  # black on request
    held_out: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for field, known in _KNOWN.items():
            _known(getattr(self, field), known, field)
        _known(self.held_out, tuple(f"{c} {s}" for c in COLOURS for s in SHAPES), "held-out combinations")
        if not all(getattr(self, field) for field in _KNOWN) or not self.names:
            raise DataError(f"nothing is left to draw things from in {self}; allow at least one word of each kind")

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All combinations of colour and shape that may occur, such as `red circle`."""
        return tuple(name for c in self.colours for s in self.shapes if (name := f"{c} {s}") not in self.held_out)

    @cached_property
    def ranked(self) -> tuple[str, ...]:
        """`names`, the most frequent first where they are long-tailed: an order that mixes colours and shapes."""
        return tuple(sorted(self.names, key=lambda name: blake2b(name.encode(), digest_size=8).digest()))

    def without(self, *names: str) -> "Vocabulary":
        """The same, never drawing the named combinations."""
        return replace(self, held_out=self.held_out | set(names))

    def only(self, *names: str) -> "Vocabulary":
        """The same, drawing none but the named combinations: the test side of `without`."""
        _known(names, self.names, "combinations")
        return replace(self, held_out=self.held_out | (set(self.names) - set(names)))


_KNOWN = {"shapes": SHAPES, "colours": COLOURS, "sizes": SIZES, "textures": TEXTURES, "backgrounds": BACKGROUNDS}


def _known(words: tuple[str, ...] | frozenset[str], known: tuple[str, ...], field: str) -> None:
    if unknown := sorted(set(words) - set(known)):
        raise DataError(f"unknown {field}: {', '.join(unknown)}; a world has {', '.join(known)}")


@dataclass(frozen=True)
class Sampler:
    """Draws scenes of `objects` = (least, most) things that do not overlap and of which two or more are related.

    alike: rate of scenes with two or more things in which one look is repeated, so that there is something to count.
    writing: rate of scenes with a written word. motion: rate of scenes in which exactly one thing moves.
    viewpoints: where the camera may stand. tail: exponent of the Zipf law by which combinations of colour and shape
    are drawn, in the order of `vocabulary.ranked`; 0 draws them evenly. Every knob has draws of its own: what it does
    not concern stays as it was. Raises DataError for values out of range.
    """

    objects: tuple[int, int] = (1, 4)
    vocabulary: Vocabulary = Vocabulary()
    alike: float = 0.0
    writing: float = 0.0
    motion: float = 0.0
    viewpoints: tuple[str, ...] = ("front",)
    tail: float = 0.0

    def __post_init__(self) -> None:
        least, most = self.objects
        if not 1 <= least <= most <= MOST_OBJECTS:
            raise DataError(f"objects={self.objects}: expected (least, most) with 1 <= least <= most <= {MOST_OBJECTS}")
        for name, rate in (("alike", self.alike), ("writing", self.writing), ("motion", self.motion)):
            if not 0 <= rate <= 1:
                raise DataError(f"{name}={rate}: expected a rate between 0 and 1")
        if not 0 <= self.tail <= 8:
            raise DataError(f"tail={self.tail}: expected an exponent between 0 (even) and 8")
        _known(self.viewpoints, VIEWPOINTS, "viewpoints")
        if not self.viewpoints:
            raise DataError(f"no viewpoints; expected at least one of {', '.join(VIEWPOINTS)}")

    def __call__(self, seed: int, index: int) -> Scene:
        """Scene `index` of `seed`; always the same."""
        writing = _written(Draws("writing", seed, index), self.writing)
        viewpoint = Draws("viewpoint", seed, index).pick(self.viewpoints)
        draws = Draws("facts", seed, index)
        count = draws.between(*self.objects)
        same = _repeats(Draws("alike", seed, index), self.alike, count)
        background = draws.pick(self.vocabulary.backgrounds)
        for attempt in range(_REDRAWS + 100 // _SHRINK):
            percent = 100 - _SHRINK * max(0, attempt - _REDRAWS)
            looks = [self._look(percent, draws) for _ in range(count)]
            looks[:same] = [replace(looks[0], rotation=look.rotation) for look in looks[:same]]
            for _ in range(_LAYOUTS):
                scene = Scene(_layout(looks, ground(writing), draws), background, writing, viewpoint)
                if len(scene.things) == count and (count == 1 or scene.relations):
                    return _set_going(scene, Draws("motion", seed, index), self.motion)
        raise AssertionError(f"no room for {count} things, however small")

    def _look(self, percent: int, draws: Draws) -> Thing:
        colour, shape = self._name(draws).split()
        size = draws.pick(self.vocabulary.sizes)
        texture = draws.pick(self.vocabulary.textures)
        radius = (RADIUS[size] + draws.between(-_JITTER, _JITTER)) * percent // 100
        return Thing(shape, colour, size, texture, 0, 0, radius, draws.between(-_TILT, _TILT))

    def _name(self, draws: Draws) -> str:
        if self.tail == 0:
            return draws.pick(self.vocabulary.names)
        return self.vocabulary.ranked[bisect(self._ends, draws.below(self._ends[-1]))]

    @cached_property
    def _ends(self) -> list[int]:
        """Running sums of the ranked names' frequencies, in integers: exact on every machine."""
        return list(
            accumulate(round(rank**-self.tail * 2**24) + 1 for rank in range(1, len(self.vocabulary.names) + 1))
        )


def _written(draws: Draws, rate: float) -> str | None:
    return draws.pick(WORDS_WRITTEN) if draws.chance(rate) else None


def _repeats(draws: Draws, rate: float, count: int) -> int:
    """How many things share one look."""
    return draws.between(2, count) if count > 1 and draws.chance(rate) else 1


def _set_going(scene: Scene, draws: Draws, rate: float) -> Scene:
    """The scene with one thing in motion, at the given rate. Shrinking is always possible."""
    if not draws.chance(rate):
        return scene
    for motion in draws.shuffled(MOTIONS):
        if able := [k for k, thing in enumerate(scene.things) if extent(scene, thing, motion)]:
            moving = draws.pick(able)
            things = (replace(t, motion=motion) if k == moving else t for k, t in enumerate(scene.things))
            return replace(scene, things=tuple(things))
    raise AssertionError("nothing can move")


def _layout(looks: list[Thing], bottom: int, draws: Draws) -> tuple[Thing, ...]:
    """The things at places of their own above `bottom`; none where one of them found no room."""
    placed: list[Thing] = []
    for look in sorted(looks, key=lambda t: -t.radius):
        place = _place(look, placed, bottom, draws)
        if place is None:
            return ()
        placed.append(replace(look, x=place[0], y=place[1]))
    return tuple(replace(t, depth=depth) for depth, t in enumerate(draws.shuffled(placed)))


def _place(look: Thing, others: list[Thing], bottom: int, draws: Draws) -> tuple[int, int] | None:
    edge = look.radius + GAP
    for _ in range(_TRIES):
        x, y = draws.between(edge, UNIT - edge), draws.between(edge, bottom - edge)
        if all((x - o.x) ** 2 + (y - o.y) ** 2 >= (look.radius + o.radius + GAP) ** 2 for o in others):
            return x, y
    return None
