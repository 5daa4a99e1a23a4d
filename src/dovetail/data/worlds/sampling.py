"""How the facts of a scene are drawn."""

from dataclasses import dataclass, replace
from functools import cached_property

from dovetail.data.records import DataError
from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.facts import BACKGROUNDS, COLOURS, SHAPES, SIZES, TEXTURES, UNIT, Scene, Thing

MOST_OBJECTS = 6
_RADIUS = {"small": 136, "medium": 184, "large": 244}
_JITTER = 6  # radii vary by +- this many, far less than the sizes differ
_TILT = 20  # degrees either way; a square turned by 45 would be a diamond
_GAP = 12  # between the circles around two things, and between one and the edge
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
    """Draws scenes of `objects` = (least, most) things that do not overlap and of which two or more are related."""

    objects: tuple[int, int] = (1, 4)
    vocabulary: Vocabulary = Vocabulary()

    def __post_init__(self) -> None:
        least, most = self.objects
        if not 1 <= least <= most <= MOST_OBJECTS:
            raise DataError(f"objects={self.objects}: expected (least, most) with 1 <= least <= most <= {MOST_OBJECTS}")

    def __call__(self, seed: int, index: int) -> Scene:
        """Scene `index` of `seed`; always the same."""
        draws = Draws("facts", seed, index)
        count = draws.between(*self.objects)
        background = draws.pick(self.vocabulary.backgrounds)
        for attempt in range(_REDRAWS + 100 // _SHRINK):
            percent = 100 - _SHRINK * max(0, attempt - _REDRAWS)
            looks = [self._look(percent, draws) for _ in range(count)]
            for _ in range(_LAYOUTS):
                scene = Scene(_layout(looks, draws), background)
                if len(scene.things) == count and (count == 1 or scene.relations):
                    return scene
        raise AssertionError(f"no room for {count} things, however small")

    def _look(self, percent: int, draws: Draws) -> Thing:
        colour, shape = draws.pick(self.vocabulary.names).split()
        size = draws.pick(self.vocabulary.sizes)
        texture = draws.pick(self.vocabulary.textures)
        radius = (_RADIUS[size] + draws.between(-_JITTER, _JITTER)) * percent // 100
        return Thing(shape, colour, size, texture, 0, 0, radius, draws.between(-_TILT, _TILT))


def _layout(looks: list[Thing], draws: Draws) -> tuple[Thing, ...]:
    """The things at places of their own; none where one of them found no room."""
    placed: list[Thing] = []
    for look in sorted(looks, key=lambda t: -t.radius):
        place = _place(look, placed, draws)
        if place is None:
            return ()
        placed.append(replace(look, x=place[0], y=place[1]))
    return tuple(replace(t, depth=depth) for depth, t in enumerate(draws.shuffled(placed)))


def _place(look: Thing, others: list[Thing], draws: Draws) -> tuple[int, int] | None:
    edge = look.radius + _GAP
    for _ in range(_TRIES):
        x, y = draws.between(edge, UNIT - edge), draws.between(edge, UNIT - edge)
        if all((x - o.x) ** 2 + (y - o.y) ** 2 >= (look.radius + o.radius + _GAP) ** 2 for o in others):
            return x, y
    return None
