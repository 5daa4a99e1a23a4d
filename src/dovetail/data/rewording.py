"""English texts with one word in another's place: where words of the lists stand, and what they are exchanged for."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cache

from dovetail.data.vocabulary import Sense, options, senses

_ARTICLE = re.compile(r"(?<![\w-])(a)n?(\s+)$", re.IGNORECASE)
_AN = re.compile(r"[aeio](?!ne\b|uro)|u(?!ni(?!n)|s[aei])|hour|honest", re.IGNORECASE)


@dataclass(frozen=True)
class Spot:
    """Where in a text a word stands, and what it tells."""

    start: int
    end: int
    word: str  # in lower case
    sense: Sense


def spots(text: str, kinds: Collection[str]) -> list[Spot]:
    """The words and phrases of these kinds in a text, from left to right; of those that overlap, the longest."""
    found = ((m.start(), m.end(), " ".join(m[0].lower().split())) for m in _listed().finditer(text))
    all_spots = (Spot(start, end, word, senses()[word]) for start, end, word in found)
    return [spot for spot in all_spots if spot.sense.kind in kinds]


def named(texts: Iterable[str]) -> frozenset[str]:
    """The words of the lists that occur in any of the texts."""
    return frozenset(spot.word for text in texts for spot in spots(text, {s.kind for s in senses().values()}))


def others(spot: Spot, said: Collection[str] = ()) -> list[str]:
    """What excludes the spot's word, in the same form: of each other option its first word. said: an option of which
    any word is among these is left out."""
    sense = spot.sense
    every = options(sense.kind, sense.form, sense.contrast)
    return [words[0] for words in every if spot.word not in words and not set(words) & set(said)]


def exchanged(text: str, start: int, end: int, word: str) -> str:
    """The text with `word` from `start` to `end`, its first letter as large as it was, and `a` or `an` before it."""
    before, old = text[:start], text[start:end]
    word = word.upper() if old.isupper() and len(old) > 1 else word
    word = word[:1].upper() + word[1:] if old[:1].isupper() else word
    if article := _ARTICLE.search(before):
        n = ("N" if article[0][1:2] == "N" else "n") if _AN.match(word) else ""
        before = before[: article.start()] + article[1] + n + article[2]
    return before + word + text[end:]


def swapped(text: str, first: tuple[int, int], second: tuple[int, int]) -> str:
    """The text with what stands in two places exchanged; `first` comes before `second`."""
    one, two = (text[start:end] for start, end in (first, second))
    if not (one.isupper() and len(one) > 1):  # a capital belongs to the place, not to the word
        one, two = (w[:1].lower() + w[1:] for w in (one, two))
    return exchanged(exchanged(text, *second, one), *first, two)


@cache
def _listed() -> re.Pattern[str]:
    words = sorted(senses(), key=len, reverse=True)
    either = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in words)
    return re.compile(rf"(?<![\w-])(?:{either})(?![\w-])", re.IGNORECASE)
