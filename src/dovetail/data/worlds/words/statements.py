"""What a caption says, before any language: statements about a scene, all of them true."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.facts import COLOURS, OPPOSITE, SHAPES, Relation, Scene, Thing

FULL = frozenset(("size", "texture", "colour"))


@dataclass(frozen=True)
class Mention:
    """A thing and what is told of it, beside its shape: any of `size`, `texture`, `colour`, `place`."""

    thing: Thing
    told: frozenset[str]

    @cached_property
    def facts(self) -> tuple[str | None, ...]:
        """Size, texture, colour, shape and place, None where untold. Mentions with equal facts sound the same."""
        return _facts(self.thing, self.told)


def _facts(thing: Thing, told: frozenset[str]) -> tuple[str | None, ...]:
    return (
        thing.size if "size" in told else None,
        thing.texture if "texture" in told else None,
        thing.colour if "colour" in told else None,
        thing.shape,
        thing.place if "place" in told else None,
    )


@dataclass(frozen=True)
class Listing:
    """There are these things."""

    mentions: tuple[Mention, ...]


@dataclass(frozen=True)
class Related:
    """One thing is `relation` (`left of`, `right of`, `above`, `below`) another."""

    subject: Mention
    relation: str
    object: Mention


@dataclass(frozen=True)
class Paragraph:
    """All facts. The mentions in `related` tell just enough for each thing to be the only one meant."""

    listing: Listing
    related: tuple[Related, ...]
    background: str


@dataclass(frozen=True)
class Counted:
    """There are exactly `count` (1 or more) things like this."""

    mention: Mention
    count: int


@dataclass(frozen=True)
class Absent:
    """There is no thing like this."""

    mention: Mention


@dataclass(frozen=True)
class Summary:
    """So many things in all, on this background."""

    count: int
    background: str


@dataclass(frozen=True)
class Parts:
    """What a thing is made of: its outline (`five points`) and its surface (`white stripes`)."""

    thing: Thing


@dataclass(frozen=True)
class Moving:
    """A thing moves: `motion` is one of MOTIONS."""

    mention: Mention
    motion: str


@dataclass(frozen=True)
class Written:
    """This word stands at the bottom of the picture."""

    word: str


@dataclass(frozen=True)
class Seen:
    """The camera stands there: one of VIEWPOINTS."""

    viewpoint: str


@dataclass(frozen=True)
class AltText:
    """These things on this background, as terse as an alt-text."""

    mentions: tuple[Mention, ...]
    background: str


@dataclass(frozen=True)
class Vague:
    """There is something, one thing or several."""

    count: int


@dataclass(frozen=True)
class Reworded:
    """The same said in other words: no wording of it is one of the plain statement."""

    said: Listing | Related | Moving


Statement = (
    Listing
    | Related
    | Paragraph
    | Counted
    | Absent
    | Summary
    | Parts
    | Moving
    | Written
    | Seen
    | AltText
    | Vague
    | Reworded
)


def listing(scene: Scene, told: Iterable[str], draws: Draws) -> Listing:
    """Every thing, in an order of its own."""
    return Listing(tuple(Mention(t, frozenset(told)) for t in draws.shuffled(scene.things)))


def related(found: Relation, draws: Draws) -> Related:
    """One relation, told from either side, with colours and sometimes more."""
    turned = Relation(found.object, OPPOSITE[found.name], found.subject) if draws.chance(0.5) else found
    first, second = (
        Mention(t, frozenset(k for k in ("size", "texture") if draws.chance(0.5)) | {"colour"})
        for t in (turned.subject, turned.object)
    )
    return Related(first, turned.name, second)


def paragraph(scene: Scene, draws: Draws) -> Paragraph:
    """Every thing with all its attributes and place, the relations that do not follow from others, the background."""
    names = {thing: unique_mention(thing, scene) for thing in scene.things}
    links = []
    for r in draws.shuffled(_irreducible(scene.relations)):
        subject, object_ = names[r.subject], names[r.object]
        if subject is not None and object_ is not None:
            links.append(Related(subject, r.name, object_))
    return Paragraph(listing(scene, FULL | {"place"}, draws), tuple(links), scene.background)


def unique_mention(thing: Thing, scene: Scene) -> Mention | None:
    """The least that tells `thing` from all others of the scene; None where nothing does."""
    for told in _REFERENCES:
        facts = _facts(thing, told)
        if sum(_facts(other, told) == facts for other in scene.things) == 1:
            return Mention(thing, told)
    return None


_REFERENCES = tuple(
    frozenset(told)
    for told in ((), ("colour",), ("size",), ("texture",), ("size", "colour"), ("texture", "colour"), FULL)
)


def _irreducible(relations: tuple[Relation, ...]) -> list[Relation]:
    """Those that do not follow from two others: a left of b and b left of c make a left of c."""
    held = {(r.subject, r.name, r.object) for r in relations}
    between = {r.object for r in relations} & {r.subject for r in relations}
    return [
        r
        for r in relations
        if not any((r.subject, r.name, b) in held and (b, r.name, r.object) in held for b in between)
    ]


def counted(scene: Scene, draws: Draws) -> Counted:
    """How many things of one shape, or of one colour and shape, there are: in half of the captions several, if any."""
    counts: dict[Mention, int] = {}
    for told in ((), ("colour",)):
        for thing in scene.things:
            facts = _facts(thing, frozenset(told))
            alike = [t for t in scene.things if _facts(t, frozenset(told)) == facts]
            counts[Mention(alike[0], frozenset(told))] = len(alike)
    several = [m for m, n in counts.items() if n > 1]
    mention = draws.pick(several if several and draws.chance(0.5) else list(counts))
    return Counted(mention, counts[mention])


def absent(scene: Scene, draws: Draws) -> Absent:
    """A colour and shape that no thing has: where possible the colour of one thing and the shape of another."""
    there = {(t.colour, t.shape) for t in scene.things}
    near = [(a.colour, b.shape) for a in scene.things for b in scene.things if (a.colour, b.shape) not in there]
    far = [(colour, shape) for colour in COLOURS for shape in SHAPES if (colour, shape) not in there]
    colour, shape = draws.pick(list(dict.fromkeys(near)) or far)
    return Absent(Mention(replace(scene.things[0], colour=colour, shape=shape), frozenset(("colour",))))


def moving(scene: Scene) -> list[Moving]:
    """Every motion, by colour and shape of what moves."""
    return [Moving(Mention(t, frozenset(("colour",))), t.motion) for t in scene.things if t.motion is not None]


def alt_text(scene: Scene, draws: Draws) -> AltText:
    """Colour and shape of every thing, and the background."""
    return AltText(listing(scene, ("colour",), draws).mentions, scene.background)
