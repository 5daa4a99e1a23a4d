"""The facts of a scene. Pictures, captions, boxes and identities are all derived from them."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import combinations
from typing import NamedTuple

SHAPES = ("circle", "square", "triangle", "star", "heart", "cross", "ring", "crescent")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
SIZES = ("small", "medium", "large")
TEXTURES = ("plain", "striped", "dotted", "checked")
BACKGROUNDS = ("white", "cream", "grey", "black")
MOTIONS = ("left", "right", "up", "down", "turning", "growing", "shrinking")
VIEWPOINTS = ("front", "left", "right", "above", "below")
WORDS = {"shape": SHAPES, "colour": COLOURS, "size": SIZES, "texture": TEXTURES}

UNIT = 1000
"""Width and height of a scene. Lengths are integers in this unit, so that facts are exact on every machine."""

OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}


@dataclass(frozen=True)
class Thing:
    """One object. It lies within the circle of `radius` around (x, y)."""

    shape: str
    colour: str
    size: str
    texture: str
    x: int  # 0 is the left edge, UNIT the right one
    y: int  # 0 is the top edge, UNIT the bottom one
    radius: int
    rotation: int = 0  # degrees, clockwise
    depth: int = 0  # larger is further away; nearer things are painted over it
    motion: str | None = None  # one of MOTIONS; None: it rests

    @property
    def name(self) -> str:
        """Colour and shape, as in the label of a scene with one thing: `red circle`."""
        return f"{self.colour} {self.shape}"

    @property
    def place(self) -> str | None:
        """Where in the picture it is (`upper left`, `top`, `centre`, ...); None near the border of two such places."""
        across, down = _third(self.x), _third(self.y)
        return None if across is None or down is None else PLACES[down][across]


PLACES = (("upper left", "top", "upper right"), ("left", "centre", "right"), ("lower left", "bottom", "lower right"))


def _third(position: int) -> int | None:
    for index, (low, high) in enumerate(((0, 380), (440, 560), (620, UNIT))):
        if low <= position <= high:
            return index
    return None


class Relation(NamedTuple):
    """`subject` is `name` (`left of`, `right of`, `above` or `below`) `object`."""

    subject: Thing
    name: str
    object: Thing


def relation(a: Thing, b: Thing) -> str | None:
    """What `a` is to `b`, or None where it could be disputed: one axis must clearly outweigh the other (3 to 2)."""
    across, down = b.x - a.x, b.y - a.y
    if 2 * abs(across) >= 3 * abs(down) and abs(across) >= 150:
        return "left of" if across > 0 else "right of"
    if 2 * abs(down) >= 3 * abs(across) and abs(down) >= 150:
        return "above" if down > 0 else "below"
    return None


@dataclass(frozen=True)
class Scene:
    """Things on a background of one colour, perhaps with a written word, seen from somewhere."""

    things: tuple[Thing, ...]
    background: str
    writing: str | None = None  # in the strip along the bottom
    viewpoint: str = "front"  # one of VIEWPOINTS: where the camera of the solid style stands

    @cached_property
    def relations(self) -> tuple[Relation, ...]:
        """Every relation that holds beyond dispute, once per pair: as `left of` or as `above`."""
        found = []
        for a, b in combinations(self.things, 2):
            name = relation(a, b)
            if name in ("left of", "above"):
                found.append(Relation(a, name, b))
            elif name is not None:
                found.append(Relation(b, OPPOSITE[name], a))
        return tuple(found)

    @property
    def identity(self) -> int:
        """A hash (0..2^63-1) of all that captions can tell: scenes with equal facts share it, wherever they lie."""
        things = sorted(map(_told, self.things))
        relations = sorted(f"{_told(r.subject)} {r.name} {_told(r.object)}" for r in self.relations)
        more = [self.writing or "", self.viewpoint] if self.writing or self.viewpoint != "front" else []
        text = "\n".join([self.background, *things, *relations, *more])
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def _told(thing: Thing) -> str:
    moving = f", {thing.motion}" if thing.motion else ""
    return f"{thing.size} {thing.texture} {thing.name}, {thing.place}{moving}"
