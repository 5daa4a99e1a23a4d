"""False and empty versions of statements, and whether a statement is true of a scene."""

from dataclasses import replace
from typing import assert_never

from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.facts import BACKGROUNDS, MOTIONS, VIEWPOINTS, WORDS, Scene, Thing, relation
from dovetail.data.worlds.pictures.lettering import WORDS_WRITTEN
from dovetail.data.worlds.words.statements import (
    Absent,
    AltText,
    Counted,
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
    Vague,
    Written,
)
from dovetail.data.worlds.words.truth import changed, fitting

_OF_PARTS = frozenset(("texture", "colour"))


def holds(statement: Statement, scene: Scene) -> bool:
    """Whether the statement is true of the scene: each thing is told of once, and counts are exact."""
    match statement:
        case Listing(mentions):
            return all(len(fitting(scene, m)) >= sum(m.facts == n.facts for n in mentions) for m in mentions)
        case Related(subject, name, object_):
            pairs = ((a, b) for a in fitting(scene, subject) for b in fitting(scene, object_) if a is not b)
            return any(relation(a, b) == name for a, b in pairs)
        case Paragraph(listed, links, background):
            complete = len(listed.mentions) == len(scene.things) and background == scene.background
            return complete and holds(listed, scene) and all(holds(link, scene) for link in links)
        case Counted(mention, count):
            return len(fitting(scene, mention)) == count
        case Absent(mention):
            return not fitting(scene, mention)
        case Summary(count, background):
            return (count, background) == (len(scene.things), scene.background)
        case Parts(thing):
            return bool(fitting(scene, Mention(thing, _OF_PARTS)))
        case Moving(mention, motion):
            return any(t.motion == motion for t in fitting(scene, mention))
        case Written(word):
            return word == scene.writing
        case Seen(viewpoint):
            return viewpoint == scene.viewpoint
        case AltText(mentions, background):
            return background == scene.background and holds(Listing(mentions), scene)
        case Vague(count):
            return (count > 1) == (len(scene.things) > 1)
        case Reworded(said):
            return holds(said, scene)
    assert_never(statement)


def mistaken(statement: Statement, scene: Scene, draws: Draws) -> Statement:
    """The statement with one thing about it wrong, so that it is false of the scene.

    That is an attribute of one thing, which becomes a word that is true of no thing of the scene; or the count, the
    motion, the background, the word or the viewpoint where the statement is about these.
    """
    match statement:
        case Counted(mention, count):
            return Counted(mention, draws.pick([n for n in (count - 1, count + 1) if n > 0]))
        case Absent(mention):
            return replace(statement, mention=replace(mention, thing=draws.pick(scene.things)))
        case Summary(count, background):
            if draws.chance(0.5):
                return Summary(draws.pick([n for n in (count - 1, count + 1) if n > 0]), background)
            return Summary(count, _another(BACKGROUNDS, background, draws))
        case Moving(mention, _):
            moved = {t.motion for t in scene.things}
            return Moving(mention, draws.pick([m for m in MOTIONS if m not in moved]))
        case Written(word):
            return Written(_another(WORDS_WRITTEN, word, draws))
        case Seen(viewpoint):
            return Seen(_another(VIEWPOINTS, viewpoint, draws))
        case Reworded(said):
            wrong = mistaken(said, scene, draws)
            assert isinstance(wrong, Listing | Related | Moving)
            return Reworded(wrong)
    return _misnamed(statement, scene, draws)


def _another(words: tuple[str, ...], word: str, draws: Draws) -> str:
    return draws.pick([w for w in words if w != word])


def _misnamed(statement: Statement, scene: Scene, draws: Draws) -> Statement:
    """The statement with one attribute of one thing wrong."""
    told = {m.thing: m.told | {"shape"} for m in mentions(statement)}  # in a paragraph, the listing tells all, and last
    choices = [(t, k) for t in told for k in WORDS if k in told[t]]
    for thing, kind in draws.shuffled(choices):
        unused = [w for w in WORDS[kind] if all(getattr(t, kind) != w for t in scene.things)]
        if unused:
            return _with(statement, thing, changed(thing, kind, draws.pick(unused)))
    for thing, kind in draws.shuffled(choices):  # in a crowded scene every word is true of some thing, but not of such
        others = (changed(thing, kind, word) for word in WORDS[kind])
        unlike = [t for t in others if not fitting(scene, Mention(t, frozenset(told[thing])))]
        if unlike:
            return _with(statement, thing, draws.pick(unlike))
    raise AssertionError("a scene has fewer things than there are colours and shapes")


def mentions(statement: Statement) -> list[Mention]:
    """Whatever things of the scene the statement speaks of."""
    match statement:
        case Listing(told) | AltText(told, _):
            return list(told)
        case Related(subject, _, object_):
            return [subject, object_]
        case Paragraph(listed, links, _):
            return [m for s in links for m in mentions(s)] + list(listed.mentions)
        case Counted(mention, _) | Moving(mention, _):
            return [mention]
        case Parts(thing):
            return [Mention(thing, _OF_PARTS)]
        case Reworded(said):
            return mentions(said)
    return []


def _with(statement: Statement, old: Thing, new: Thing) -> Statement:
    """The statement with `new` in place of `old`."""
    match statement:
        case Listing(told):
            return Listing(tuple(_put(m, old, new) for m in told))
        case AltText(told, background):
            return AltText(tuple(_put(m, old, new) for m in told), background)
        case Related(subject, name, object_):
            return Related(_put(subject, old, new), name, _put(object_, old, new))
        case Paragraph(listed, links, background):
            things = Listing(tuple(_put(m, old, new) for m in listed.mentions))
            swapped = (Related(_put(r.subject, old, new), r.relation, _put(r.object, old, new)) for r in links)
            return Paragraph(things, tuple(swapped), background)
        case Parts():
            return Parts(new)
    raise AssertionError(f"{statement} names no thing that could be another")


def _put(mention: Mention, old: Thing, new: Thing) -> Mention:
    return replace(mention, thing=new) if mention.thing == old else mention


def vague(statement: Statement, scene: Scene, draws: Draws) -> Listing | Vague:
    """What is left when the attributes are dropped (`a circle and a square`), or nearly everything (`some shapes`)."""
    things = list(dict.fromkeys(m.thing for m in mentions(statement)))
    if things and draws.chance(0.5):
        return Listing(tuple(Mention(t, frozenset()) for t in things))
    return Vague(len(scene.things))
