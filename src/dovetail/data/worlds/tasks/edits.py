"""Counterfactual scenes: one fact is edited, all others stay, and an instruction says what was done.

They are the queries of composed search (a picture and what is to be different about it), and show which facts a model's
scores depend on.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from dovetail.data.records import DataError
from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.facts import BACKGROUNDS, UNIT, Scene, Thing
from dovetail.data.worlds.motions import extent
from dovetail.data.worlds.pictures.lettering import ground
from dovetail.data.worlds.sampling import GAP, MOST_OBJECTS, RADIUS, Vocabulary
from dovetail.data.worlds.words import statements
from dovetail.data.worlds.words.english import ENGLISH
from dovetail.data.worlds.words.phrases import english_words, indefinite, noun, singled_out
from dovetail.data.worlds.words.statements import FULL, Mention
from dovetail.data.worlds.words.truth import changed
from dovetail.data.worlds.words.wording import Wording

EDITS = ("colour", "shape", "size", "texture", "place", "background", "removed", "added")

_TRIES = 60  # places for a thing that is moved or added


@dataclass(frozen=True)
class Edit:
    """A scene of which one fact was edited."""

    scene: Scene  # as it is after the edit
    what: str  # one of EDITS
    instruction: str  # in English, such as `make the red circle blue`
    caption: str  # all facts of the edited scene, in English


def counterfactual(
    scene: Scene,
    key: tuple[int, int],
    kinds: tuple[str, ...] = EDITS,
    vocabulary: Vocabulary = Vocabulary(),  # noqa: B008 (frozen)
) -> Edit:
    """An edit of one of the kinds, drawn from those that the scene admits.

    key: (seed, index) of the scene. vocabulary: new words are its words. Raises DataError for an unknown kind, and
    where the scene admits none of the kinds: a crowded one has no room for `added`, nothing is `removed` from a single
    thing.
    """
    if unknown := [kind for kind in kinds if kind not in EDITS]:
        raise DataError(f"unknown kinds of edits: {', '.join(unknown)}; there are {', '.join(EDITS)}")
    hand = _Hand(Draws("edits", *key), english_words(Draws("edits", "words", *key)), vocabulary)
    for kind in hand.draws.shuffled(kinds):
        for thing in hand.draws.shuffled(scene.things):
            name, made = singled_out(thing, scene), _MAKERS[kind](scene, thing, hand)
            if made is None or (name is None and "{}" in made[1]):  # the instruction could not say which thing
                continue
            told = statements.paragraph(made[0], Draws("edits", "caption", *key))
            caption = ENGLISH.say(told, Draws("edits", "caption", "words", *key))
            return Edit(made[0], kind, made[1].format(name and noun(name, hand.words)), caption)
    raise DataError(f"nothing to edit among {', '.join(kinds)} in {scene}; allow more kinds of edits")


class _Hand(NamedTuple):
    """What an edit is made with."""

    draws: Draws
    words: Wording
    vocabulary: Vocabulary


Made = tuple[Scene, str] | None
"""The edited scene, and the instruction with {} for the thing as it was; None where the scene does not admit it."""


def _attribute(kind: str, template: str) -> Callable[[Scene, Thing, _Hand], Made]:
    """Edits one attribute of one thing."""

    def make(scene: Scene, thing: Thing, hand: _Hand) -> Made:
        v = hand.vocabulary
        known = {"shape": v.shapes, "colour": v.colours, "texture": v.textures, "size": v.sizes}[kind]
        for word in hand.draws.shuffled([w for w in known if w != getattr(thing, kind)]):
            new = changed(thing, kind, word)
            new = replace(new, radius=thing.radius * RADIUS[new.size] // RADIUS[thing.size])
            after = replace(scene, things=tuple(new if t is thing else t for t in scene.things))
            if new.name in v.names and _in_order(after):
                return after, template + hand.words(word)
        return None

    return make


def _place(scene: Scene, thing: Thing, hand: _Hand) -> Made:
    for _ in range(_TRIES):
        new = replace(thing, x=hand.draws.below(UNIT), y=hand.draws.below(UNIT))
        after = replace(scene, things=tuple(new if t is thing else t for t in scene.things))
        if new.place not in (None, thing.place) and _in_order(after):
            return after, f"move the {{}} so that it is {hand.words(str(new.place))}"
    return None


def _background(scene: Scene, thing: Thing, hand: _Hand) -> Made:
    known = hand.vocabulary.backgrounds if len(hand.vocabulary.backgrounds) > 1 else BACKGROUNDS
    colour = hand.draws.pick([b for b in known if b != scene.background])
    return replace(scene, background=colour), f"change the background to {hand.words(colour)}"


def _removed(scene: Scene, thing: Thing, hand: _Hand) -> Made:
    if len(scene.things) == 1:
        return None
    return replace(scene, things=tuple(t for t in scene.things if t is not thing)), "remove the {}"


def _added(scene: Scene, thing: Thing, hand: _Hand) -> Made:
    """A thing like `thing` but for its colour, shape and place, behind all others."""
    if len(scene.things) == MOST_OBJECTS:
        return None
    colour, shape = hand.draws.pick(hand.vocabulary.names).split()
    depth = 1 + max(t.depth for t in scene.things)
    for _ in range(_TRIES):
        x, y = hand.draws.below(UNIT), hand.draws.below(UNIT)
        new = replace(thing, shape=shape, colour=colour, x=x, y=y, depth=depth, motion=None)
        after = replace(scene, things=(*scene.things, new))
        if new.place is not None and _in_order(after):
            phrase = indefinite(noun(Mention(new, FULL), hand.words))
            return after, f"add {phrase} {hand.words(new.place)}"
    return None


_MAKERS: dict[str, Callable[[Scene, Thing, _Hand], Made]] = {
    "colour": _attribute("colour", "make the {} "),
    "shape": _attribute("shape", "turn the {} into a "),
    "size": _attribute("size", "make the {} "),
    "texture": _attribute("texture", "make the {} "),
    "place": _place,
    "background": _background,
    "removed": _removed,
    "added": _added,
}


def _in_order(scene: Scene) -> bool:
    """Whether nothing touches another thing, the edge or the written word, and what moves still can."""
    bottom = ground(scene.writing)
    for index, a in enumerate(scene.things):
        low, right, down = min(a.x, a.y) - a.radius, a.x + a.radius, a.y + a.radius
        if low < GAP or right > UNIT - GAP or down > bottom - GAP:
            return False
        for b in scene.things[:index]:
            if (a.x - b.x) ** 2 + (a.y - b.y) ** 2 < (a.radius + b.radius + GAP) ** 2:
                return False
    return all(t.motion is None or extent(scene, t, t.motion) != 0 for t in scene.things)
