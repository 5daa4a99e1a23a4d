"""What a caption says, before any language: statements about a scene, and false versions of them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.facts import OPPOSITE, WORDS, Relation, Scene, Thing

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


Statement = Listing | Related | Paragraph


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


def mistaken(statement: Statement, scene: Scene, draws: Draws) -> Statement:
    """The statement with one attribute of one thing wrong: a word that is true of no thing of the scene."""
    mentions = _mentions(statement)
    told = {m.thing: m.told | {"shape"} for m in mentions}  # in a paragraph, the listing comes last and tells all
    choices = [(t, k) for t in told for k in WORDS if k in told[t]]
    for thing, kind in draws.shuffled(choices):
        unused = [w for w in WORDS[kind] if all(getattr(t, kind) != w for t in scene.things)]
        if unused:
            return _with(statement, thing, _changed(thing, kind, draws.pick(unused)))
    raise AssertionError("a scene has fewer things than there are colours")


def _mentions(statement: Statement) -> list[Mention]:
    match statement:
        case Listing(mentions):
            return list(mentions)
        case Related(subject, _, object_):
            return [subject, object_]
        case Paragraph(listing_, links, _):
            return [m for s in links for m in _mentions(s)] + list(listing_.mentions)


def _with(statement: Statement, old: Thing, new: Thing) -> Statement:
    """The statement with `new` in place of `old`."""
    match statement:
        case Listing(mentions):
            return Listing(tuple(_put(m, old, new) for m in mentions))
        case Related(subject, name, object_):
            return Related(_put(subject, old, new), name, _put(object_, old, new))
        case Paragraph(listing_, links, background):
            things = Listing(tuple(_put(m, old, new) for m in listing_.mentions))
            swapped = (Related(_put(r.subject, old, new), r.relation, _put(r.object, old, new)) for r in links)
            return Paragraph(things, tuple(swapped), background)


def _put(mention: Mention, old: Thing, new: Thing) -> Mention:
    return replace(mention, thing=new) if mention.thing == old else mention


def _changed(thing: Thing, kind: str, word: str) -> Thing:
    facts = {name: getattr(thing, name) for name in WORDS}
    facts[kind] = word
    return replace(thing, shape=facts["shape"], colour=facts["colour"], size=facts["size"], texture=facts["texture"])
