"""Which statements are made of a scene, by the kind of caption that makes them."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.facts import Scene
from dovetail.data.worlds.words import statements
from dovetail.data.worlds.words.statements import (
    FULL,
    Listing,
    Mention,
    Moving,
    Paragraph,
    Parts,
    Related,
    Reworded,
    Seen,
    Statement,
    Summary,
    Written,
)

RELATIONS_TOLD = 2  # as captions of their own, at most
THINGS_TOLD = 4  # as captions of their own, at most


class _Usual(NamedTuple):
    """The statements that share one stream of draws, so that they are the same whichever of them are asked for."""

    short: Listing
    full: Listing
    related: list[Related]
    place: list[Listing]
    long: Paragraph


def plan(scene: Scene, key: tuple[int, int], tells: Iterable[str]) -> list[tuple[str, Statement]]:
    """What the captions of a scene say, each with the kind out of TELLS that it is of, in the order of `tells`.

    key: (seed, index) of the scene. A kind has no statement where it does not apply: no relation of a single thing, no
    motion of things at rest. What is said of one kind does not depend on the others.
    """
    usual = _usual(scene, Draws("statements", *key))
    return [(t, statement) for t in tells for statement in _MAKERS[t](usual, scene, Draws("statements", t, *key))]


def _usual(scene: Scene, draws: Draws) -> _Usual:
    short, full = statements.listing(scene, ("colour",), draws), statements.listing(scene, FULL, draws)
    related = [statements.related(relation, draws) for relation in draws.shuffled(scene.relations)[:RELATIONS_TOLD]]
    placed = len(scene.things) == 1 and scene.things[0].place is not None
    place = [statements.listing(scene, ("colour", "place"), draws)] if placed else []
    return _Usual(short, full, related, place, statements.paragraph(scene, draws))


def _objects(usual: _Usual, scene: Scene, draws: Draws) -> list[Statement]:
    """Things one by one, with all their attributes and their place."""
    told = FULL | {"place"}
    return [Listing((Mention(thing, told),)) for thing in draws.shuffled(scene.things)[:THINGS_TOLD]]


def _parts(usual: _Usual, scene: Scene, draws: Draws) -> list[Statement]:
    return [Parts(thing) for thing in draws.shuffled(scene.things)[:THINGS_TOLD]]


def _paraphrase(usual: _Usual, scene: Scene, draws: Draws) -> list[Statement]:
    """The short caption, the first relation and the motion in other words."""
    plain: list[Listing | Related | Moving] = [usual.short, *usual.related[:1], *statements.moving(scene)]
    return [Reworded(said) for said in plain]


_MAKERS: dict[str, Callable[[_Usual, Scene, Draws], Iterable[Statement]]] = {
    "short": lambda usual, scene, draws: [usual.short],
    "full": lambda usual, scene, draws: [usual.full],
    "related": lambda usual, scene, draws: usual.related,
    "place": lambda usual, scene, draws: usual.place,
    "long": lambda usual, scene, draws: [usual.long],
    "summary": lambda usual, scene, draws: [Summary(len(scene.things), scene.background)],
    "objects": _objects,
    "parts": _parts,
    "paraphrase": _paraphrase,
    "alt": lambda usual, scene, draws: [statements.alt_text(scene, draws)],
    "counts": lambda usual, scene, draws: [statements.counted(scene, draws), statements.absent(scene, draws)],
    "moving": lambda usual, scene, draws: statements.moving(scene),
    "writing": lambda usual, scene, draws: [] if scene.writing is None else [Written(scene.writing)],
    "viewpoint": lambda usual, scene, draws: [Seen(scene.viewpoint)],
}
TELLS = tuple(_MAKERS)
DEFAULT = ("short", "full", "related", "place", "long")
HIERARCHICAL = ("summary", "objects", "parts")
