"""Referring expressions: each singles out one thing of a scene, by what it is, its place or its relation to others."""

from dataclasses import dataclass
from itertools import chain

from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.facts import OPPOSITE, SIZES, UNIT, Scene, Thing
from dovetail.data.worlds.words.phrases import english_words, noun, singled_out
from dovetail.data.worlds.words.statements import Mention
from dovetail.data.worlds.words.truth import conceivable, fitting
from dovetail.data.worlds.words.wording import Wording

MANNERS = ("attributes", "place", "relation", "extreme")

_LEAD = 100  # by which the leftmost thing lies left of the next, in the scene's unit
_SIDE = 440  # what lies this near to an edge might be said to lie on that side
_SIDES = {"left": "left", "right": "right", "upper": "top", "top": "top", "lower": "bottom", "bottom": "bottom"}


@dataclass(frozen=True)
class Expression:
    """A definite noun phrase in English, such as `the circle to the left of the star`, and the one thing it fits."""

    text: str
    thing: int  # its index in scene.things, and that of its box in the picture's boxes
    manner: str  # one of MANNERS


def referring(scene: Scene, key: tuple[int, int]) -> tuple[Expression, ...]:
    """For each thing at most one expression of each manner; none that another thing might be taken to fit.

    key: (seed, index) of the scene; it chooses the words.
    """
    words = english_words(Draws("referring", *key))
    draws = Draws("referring", "relations", *key)
    found = []
    for index, thing in enumerate(scene.things):
        texts = (
            _by_attributes(thing, scene, words),
            _by_place(thing, scene, words),
            _by_relation(thing, scene, words, draws),
            _by_extreme(thing, scene),
        )
        found += [Expression(text, index, m) for text, m in zip(texts, MANNERS, strict=True) if text is not None]
    return tuple(found)


def _by_attributes(thing: Thing, scene: Scene, words: Wording) -> str | None:
    mention = singled_out(thing, scene)
    return None if mention is None else f"the {noun(mention, words)}"


def _by_place(thing: Thing, scene: Scene, words: Wording) -> str | None:
    shape = Mention(thing, frozenset())
    if thing.place is None or sum(_might_lie(t, thing.place) for t in fitting(scene, shape)) > 1:
        return None
    return f"the {noun(shape, words)} {words(thing.place)}"


def _might_lie(thing: Thing, place: str) -> bool:
    """Whether somebody might say that it lies there: `on the left` also of what lies in the upper left."""
    near = {"left": thing.x, "right": UNIT - thing.x, "top": thing.y, "bottom": UNIT - thing.y}
    if place == "centre":
        return min(near.values()) >= UNIT - 620
    return all(near[_SIDES[word]] <= _SIDE for word in place.split())


def _by_relation(thing: Thing, scene: Scene, words: Wording, draws: Draws) -> str | None:
    """Its shape, and its relation to a thing that can be named."""
    shape = Mention(thing, frozenset())
    relations = [(r.name, r.object) for r in scene.relations if r.subject is thing]
    relations += [(OPPOSITE[r.name], r.subject) for r in scene.relations if r.object is thing]
    for name, other in draws.shuffled(relations):
        anchor = singled_out(other, scene)
        rest = Scene(tuple(t for t in scene.things if t is not thing), scene.background)
        if anchor is not None and not conceivable(rest, shape, name, anchor):
            return f"the {noun(shape, words)} {words(name)} the {noun(anchor, words)}"
    return None


def _by_extreme(thing: Thing, scene: Scene) -> str | None:
    others = [t for t in scene.things if t is not thing]
    if not others:
        return None
    ahead = {
        "leftmost": min(t.x for t in others) - thing.x,
        "rightmost": thing.x - max(t.x for t in others),
        "topmost": min(t.y for t in others) - thing.y,
        "lowest": thing.y - max(t.y for t in others),
    }
    sizes = [SIZES.index(t.size) for t in others]
    own = SIZES.index(thing.size)
    by_size = (("largest", own > max(sizes)), ("smallest", own < min(sizes)))
    by_place = ((word, lead >= _LEAD) for word, lead in ahead.items())
    return next((f"the {word} shape" for word, holds in chain(by_size, by_place) if holds), None)
