"""Texts that are nearly true of a scene: each differs from a true sibling in one respect, and is false.

The kinds are those on which image-language models are found to read captions as bags of words:
Yuksekgonul et al., "When and Why Vision-Language Models Behave like Bags-of-Words, and What to Do About It?", 2023;
Hsieh et al., "SugarCrepe: Fixing Hackable Benchmarks for Vision-Language Compositionality", 2023.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

from dovetail.data.records import DataError
from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.facts import OPPOSITE, Scene, Thing
from dovetail.data.worlds.sampling import MOST_OBJECTS, Vocabulary
from dovetail.data.worlds.words import statements
from dovetail.data.worlds.words.captions import Language
from dovetail.data.worlds.words.english import ENGLISH
from dovetail.data.worlds.words.statements import Listing, Mention, Related, Statement
from dovetail.data.worlds.words.truth import Steady, changed, conceivable, fitting

KINDS = ("swapped attribute", "swapped relation", "replaced object", "wrong count", "negation", "shuffled words")

_COLOUR = frozenset(("colour",))
_SHUFFLES = 20  # tries to find an order
_NEAR = 4  # places: as far as from an article to its noun
_FEW = 4  # numbers up to here are confused with each other, and those above with each other

Pair = tuple[Statement, Statement]
"""What is true, and what is false."""


class Negative(NamedTuple):
    """A text that is true of a scene, and one that differs from it as the kind says and is false."""

    kind: str  # one of KINDS
    true: str
    false: str
    language: str = "en"  # ISO 639-1 code


def negatives(
    scene: Scene,
    key: tuple[int, int],
    kinds: tuple[str, ...] = KINDS,
    language: Language = ENGLISH,
    vocabulary: Vocabulary = Vocabulary(),  # noqa: B008 (frozen)
) -> tuple[Negative, ...]:
    """At most one negative of each kind, in the order of `kinds`; a kind that the scene offers nothing for is left out.

    key: (seed, index) of the scene; it chooses what is changed, the same in every language. Counts are exact: "two
    circles" is false of three. vocabulary: false texts name none but its combinations of colour and shape.
    Raises DataError for an unknown kind.
    """
    check_kinds(kinds)
    found = []
    for kind in kinds:
        pair = _PAIRS[kind](scene, Draws("negatives", kind, *key), vocabulary)
        if pair is None:
            continue
        words = ("negatives", "words", kind, language.code, *key)
        true, false = (language.say(statement, Steady(*words)) for statement in pair)
        if kind == "shuffled words":
            false = shuffled(true, Draws(*words))
        if true != false:
            found.append(Negative(kind, true, false, language.code))
    return tuple(found)


def check_kinds(kinds: Iterable[str]) -> None:
    """Raises DataError for a kind of negative that is none of KINDS."""
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise DataError(f"unknown kinds of negatives: {', '.join(unknown)}; there are {', '.join(KINDS)}")


def _swapped_attribute(scene: Scene, draws: Draws, vocabulary: Vocabulary) -> Pair | None:
    """Two things (with those that sound the same) exchange their colours, sizes or textures."""
    things = draws.shuffled(scene.things)
    choices = [(a, b, kind) for a, b in combinations(things, 2) for kind in ("colour", "size", "texture")]
    for a, b, kind in draws.shuffled(choices):
        told = _COLOUR | {kind}
        new = {t: changed(t, kind, getattr(b, kind)) for t in fitting(scene, Mention(a, told))}
        new |= {t: changed(t, kind, getattr(a, kind)) for t in fitting(scene, Mention(b, told))}
        if pair := _relisted(scene, things, new, told, vocabulary):
            return pair
    return None


def _replaced_object(scene: Scene, draws: Draws, vocabulary: Vocabulary) -> Pair | None:
    """One thing (with those that sound the same) has the shape of none."""
    things = draws.shuffled(scene.things)
    absent = [shape for shape in vocabulary.shapes if all(t.shape != shape for t in things)]
    for thing, shape in draws.shuffled([(t, shape) for t in things for shape in absent]):
        new = {t: replace(t, shape=shape) for t in things if t.name == thing.name}
        if pair := _relisted(scene, things, new, _COLOUR, vocabulary):
            return pair
    return None


def _relisted(
    scene: Scene, things: list[Thing], new: dict[Thing, Thing], told: frozenset[str], vocabulary: Vocabulary
) -> Pair | None:
    """The things listed as they are and with some exchanged; None where that is not false or changes the numbers."""
    true = Listing(tuple(Mention(t, told) for t in things))
    false = Listing(tuple(Mention(new.get(t, t), told) for t in things))
    known = all(t.name in vocabulary.names for t in new.values())
    lies = any(not fitting(scene, mention) for mention in false.mentions)
    return (true, false) if known and lies and _numbers(true) == _numbers(false) else None


def _numbers(listing: Listing) -> list[int]:
    """How many things sound the same, in the order in which they are told."""
    return list(Counter(mention.facts for mention in listing.mentions).values())


def _swapped_relation(scene: Scene, draws: Draws, vocabulary: Vocabulary) -> Pair | None:
    """Subject and object change places: the same words, another meaning."""
    for relation in draws.shuffled(scene.relations):
        told = _COLOUR | frozenset(kind for kind in ("size", "texture") if draws.chance(0.25))
        first, second = Mention(relation.subject, told), Mention(relation.object, told)
        name = relation.name
        if draws.chance(0.5):
            first, second, name = second, first, OPPOSITE[name]
        if first.facts != second.facts and not conceivable(scene, second, name, first):
            return Related(first, name, second), Related(second, name, first)
    return None


def _wrong_count(scene: Scene, draws: Draws, vocabulary: Vocabulary) -> Pair | None:
    """Another number of things that look alike, or of things."""
    total = len(scene.things)
    if total == 1:
        return None
    for told in draws.shuffled((frozenset[str](), _COLOUR)) if draws.chance(0.5) else ():
        for thing in draws.shuffled(scene.things):
            mention = Mention(thing, told)
            if (count := len(fitting(scene, mention))) > 1:
                wrong = _another(count, draws)
                return statements.Counted(mention, count), statements.Counted(mention, wrong)
    wrong = _another(total, draws)
    return statements.Summary(total, scene.background), statements.Summary(wrong, scene.background)


def _another(count: int, draws: Draws) -> int:
    """A wrong number, such that where all numbers are as frequent each is right as often as wrong."""
    numbers = range(2, _FEW + 1) if count <= _FEW else range(_FEW + 1, MOST_OBJECTS + 1)
    return draws.pick([n for n in numbers if n != count])


def _negation(scene: Scene, draws: Draws, vocabulary: Vocabulary) -> Pair | None:
    """Something present is said to be absent, or something absent to be present: as often the one as the other."""
    thing = draws.pick(scene.things)
    names = [t.name for t in scene.things]
    near = [n for n in vocabulary.names if n not in names and set(n.split()) & set(thing.name.split())]
    if names.count(thing.name) == 1 and (draws.chance(0.5) or not near):
        there = Mention(thing, _COLOUR)
        return statements.Counted(there, 1), statements.Absent(there)
    if not near:
        return None
    colour, shape = draws.pick(near).split()
    missing = Mention(replace(thing, colour=colour, shape=shape), _COLOUR)
    return statements.Absent(missing), statements.Counted(missing, 1)


def _as_it_is(scene: Scene, draws: Draws, vocabulary: Vocabulary) -> Pair:
    """A true listing, whose words are shuffled once it is said."""
    told = draws.pick((_COLOUR, _COLOUR | {"size"}, _COLOUR | {"texture"}))
    true = Listing(tuple(Mention(t, told) for t in draws.shuffled(scene.things)))
    return true, true


_PAIRS: dict[str, Callable[[Scene, Draws, Vocabulary], Pair | None]] = {
    "swapped attribute": _swapped_attribute,
    "swapped relation": _swapped_relation,
    "replaced object": _replaced_object,
    "wrong count": _wrong_count,
    "negation": _negation,
    "shuffled words": _as_it_is,
}


def shuffled(text: str, draws: Draws) -> str:
    """The words (characters, where a language parts no words) in an order that parts those that were near.

    What stood up to four places further on never comes next: an article stays without its noun, wherever a language
    puts adjectives, so no true sentence is hit upon by chance. Where no such order is found the words are reversed.
    """
    gap = " " if " " in text or text.isascii() else ""
    words = text.split() if gap else list(text)
    bare = [word.strip(",.;:") for word in words]
    near = {(bare[i], word) for i in range(len(bare)) for word in bare[i + 1 : i + 1 + _NEAR]}
    for _ in range(_SHUFFLES):
        rest = draws.shuffled(range(len(words)))
        order: list[int] = []
        while free := [k for k in rest if not order or (bare[order[-1]], bare[k]) not in near]:
            order.append(free[0])
            rest.remove(free[0])
        if not rest:
            return gap.join(words[k] for k in order)
    return gap.join(reversed(words))
