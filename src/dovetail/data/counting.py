"""English captions that count: which number they name, what they count, and whether the boxes of an image agree."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dovetail.data.records import Region
from dovetail.data.rewording import exchanged
from dovetail.data.vocabulary import NUMBERS, PLURALS

_NUMBER = re.compile(rf"(?<![\w-])(?:{'|'.join(NUMBERS)})(?![\w-])", re.IGNORECASE)
_MEASURES = frozenset((
    "seconds", "minutes", "hours", "days", "weeks", "months", "years", "decades", "centuries", "times", "inches",
    "feet", "yards", "miles", "meters", "metres", "kilometers", "kilometres", "pounds", "ounces", "grams", "dollars",
    "euros", "cents", "percent", "degrees", "others",
))  # fmt: skip
_NEAR = 4  # words after the number among which its noun must be


@dataclass(frozen=True)
class Count:
    """A caption with its one number word, and the plural noun that is counted."""

    text: str
    number: int
    noun: str
    start: int
    end: int

    def saying(self, number: int) -> str:
        """The caption with another number of two to ten."""
        return exchanged(self.text, self.start, self.end, NUMBERS[number - 2])


def counted(text: str) -> Count | None:
    """What a caption counts that has one number word of two to ten, before a plural that is no measure (`three dogs`,
    not `three hours`). None for all others."""
    found = list(_NUMBER.finditer(text))
    if len(found) != 1:
        return None
    start, end = found[0].span()
    clause = re.match(r"[\w'\s-]*", text[end:].lower())
    words = clause[0].split() if clause else []
    noun = next((w for w in words[:_NEAR] if _is_plural(w)), None)
    if noun is None or noun in _MEASURES:
        return None
    return Count(text, NUMBERS.index(text[start:end].lower()) + 2, noun, start, end)


def boxes_of(noun: str, regions: Sequence[Region]) -> int:
    """How many regions are of a plural noun; their phrases have it in the singular or the plural."""
    singular = [s for s, p in PLURALS.items() if p == noun]
    forms = {noun, noun[:-1], noun[:-2], noun[:-3] + "y", *singular}
    return sum(any(w in forms for w in re.findall(r"[\w'-]+", r.phrase.lower())) for r in regions)


def _is_plural(word: str) -> bool:
    return word in PLURALS.values() or (len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "'s", "us")))
