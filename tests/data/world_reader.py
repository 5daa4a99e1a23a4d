"""Reads English about a scene and holds it against the facts. It shares no code with what writes the English."""

import re
from collections.abc import Iterable

from dovetail.data.worlds import Scene, Thing

Facts = dict[str, str]

ADJECTIVES: dict[str, tuple[str, str]] = {
    **{word: ("size", "small") for word in ("small", "little")},
    **{word: ("size", "medium") for word in ("medium-sized", "mid-sized")},
    **{word: ("size", "large") for word in ("large", "big")},
    **{word: ("texture", "plain") for word in ("plain", "solid")},
    **{word: ("texture", "striped") for word in ("striped", "stripy")},
    **{word: ("texture", "dotted") for word in ("dotted", "spotted")},
    **{word: ("texture", "checked") for word in ("checked", "chequered")},
    **{word: ("colour", word) for word in ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")},
    "violet": ("colour", "purple"),
}
NOUNS = {word: word for word in ("circle", "square", "triangle", "star", "heart", "cross", "ring", "crescent")}
NOUNS |= {"disc": "circle", "moon": "crescent", "shape": "", "thing": ""}
NOUNS |= {word + ("es" if word == "cross" else "s"): shape for word, shape in NOUNS.items()}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven")
COUNTS = {"a": 1, "an": 1, "the": 1} | {word: number for number, word in enumerate(NUMBERS)}

_LONGEST_FIRST = "|".join(sorted(NOUNS, key=len, reverse=True))
NOUN_PHRASE = rf"(?:(?:{'|'.join(ADJECTIVES)}) )*(?:{_LONGEST_FIRST})"
PHRASE = re.compile(rf"\b({'|'.join(COUNTS)}) ({NOUN_PHRASE})\b")
RELATION = r"(?:to the )?left of|(?:to the )?right of|above|below|under"
PLACE = r"(?:in|at|on|near) the (?:(?:upper|lower|top|bottom) (?:left|right)|left|right|top|bottom|centre|middle)"


def facts_of(noun_phrase: str) -> Facts:
    """`small red circles` -> its facts; `shape` and `thing` tell no shape."""
    *adjectives, noun = noun_phrase.lower().split()
    facts = dict(ADJECTIVES[word] for word in adjectives)
    return facts | ({"shape": NOUNS[noun]} if NOUNS[noun] else {})


def phrases(text: str) -> list[tuple[int, Facts]]:
    """Every noun phrase with a number or an article, as (count, facts)."""
    return [(COUNTS[count], facts_of(noun)) for count, noun in PHRASE.findall(text.lower())]


def fitting(scene: Scene, facts: Facts) -> list[Thing]:
    return [t for t in scene.things if all(getattr(t, kind) == word for kind, word in facts.items())]


def only(scene: Scene, noun_phrase: str) -> Thing:
    """The one thing that fits. Fails where there are several, or none."""
    (thing,) = fitting(scene, facts_of(noun_phrase))
    return thing


def displacement(a: Thing, words: str, b: Thing) -> tuple[int, int]:
    """How far `a` lies from `b` in the direction that the words say, and across it."""
    x, y = b.x - a.x, b.y - a.y
    if "left" in words or "right" in words:
        return (x if "left" in words else -x), abs(y)
    return (y if "above" in words else -y), abs(x)


def holds(a: Thing, words: str, b: Thing) -> bool:
    """Beyond dispute."""
    along, across = displacement(a, words, b)
    return along > 1.4 * across and along > 100


def is_related(scene: Scene, text: str, strictly: bool) -> bool:
    """Whether `a <relation> b`, or `b with a <relation> it`, is true of some pair; strictly or by any reading."""
    (_, first), (_, second) = phrases(text)
    words = relation_words(text)
    if " with " in text:
        first, second = second, first
    pairs = [(a, b) for a in fitting(scene, first) for b in fitting(scene, second) if a is not b]
    return any(holds(a, words, b) if strictly else displacement(a, words, b)[0] > 0 for a, b in pairs)


def relation_words(text: str) -> str:
    (words,) = re.findall(r"left|right|above|below|under", text)
    return words


def lies(thing: Thing, place: str, strictly: bool) -> bool:
    """Whether it lies there: strictly in that ninth of the picture, or by a generous reading."""
    words, near, middle = set(place.split()), 380 if strictly else 440, 440 if strictly else 380
    across = "left" if "left" in words else "right" if "right" in words else None
    down = "top" if words & {"upper", "top"} else "bottom" if words & {"lower", "bottom"} else None
    sides = {"left": thing.x, "right": 1000 - thing.x, "top": thing.y, "bottom": 1000 - thing.y}
    wanted = [side for side in (across, down) if side]
    free = [axis for axis, side in (((thing.x), across), ((thing.y), down)) if side is None]
    centred = all(middle <= at <= 1000 - middle for at in free) if strictly or not wanted else True
    return centred and all(sides[side] <= near for side in wanted)


def words_of(text: str) -> list[str]:
    """Its words in alphabetical order, with `an` as `a` and without commas."""
    return sorted("a" if word == "an" else word.strip(",") for word in text.split())


def changes(one: Iterable[object], other: Iterable[object]) -> list[tuple[object, object]]:
    """The pairs, place by place, that differ."""
    return [(a, b) for a, b in zip(one, other, strict=True) if a != b]
