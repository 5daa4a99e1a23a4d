"""What captions name: their content words in the singular, and a vocabulary of those that are met often enough.

    a boy in red boots beside two old buses   ->   boy, red, boot, old, bus

A word is a run of letters, hyphens and apostrophes within. Left out are English function words, number words and
adverbs in -ly; English plurals become singulars by rules and a list of exceptions. No part of speech is known and no
sense is told from another. In other languages every word stands as it is written, and a language without spaces has
few words to find.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from dovetail.data.records import DataError

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_FUNCTION = """
    a an the this that these those some any each every all both either neither no not none such same other another
    i me my mine you your yours he him his she her hers it its we us our ours they them their theirs who whom whose
    which what where when why how here there and or nor but so yet if than then as while because though although of in
    on at by to from with without within into onto upon over under above below beneath between among through across
    along around about against near beside besides behind beyond inside outside before after during until since for off
    out up down toward towards per via like unlike amid atop next am is are was were be been being do does did done
    doing have has had having can could will would shall should may might must let lets get gets got just also too very
    more most less least much many few several even still again ever never always often perhaps thus yes please oh
    one two three four five six seven eight nine ten eleven twelve hundred thousand
    there's that's don't isn't aren't can't won't didn't doesn't i'm
"""
_IRREGULAR = """
    men:man women:woman children:child people:person feet:foot teeth:tooth geese:goose mice:mouse oxen:ox wolves:wolf
    knives:knife wives:wife lives:life leaves:leaf loaves:loaf shelves:shelf halves:half calves:calf elves:elf
    scarves:scarf hooves:hoof thieves:thief selves:self shoes:shoe toes:toe canoes:canoe movies:movie cookies:cookie
    pies:pie ties:tie brownies:brownie selfies:selfie hoodies:hoodie zombies:zombie axes:axe cacti:cactus fungi:fungus
    headaches:headache caches:cache buses:bus gases:gas lenses:lens canvases:canvas
"""
_ALIKE = """
    gas lens glasses series species jeans pants trousers shorts scissors clothes news canvas christmas texas kansas mars
    atlas tapas goggles pajamas pyjamas leggings tights binoculars headphones
"""
_NOUNS_IN_LY = "ally belly bully butterfly family fly holly italy jelly july lily rally"
FUNCTION, NOUNS_IN_LY = frozenset(_FUNCTION.split()), frozenset(_NOUNS_IN_LY.split())
SINGULAR = dict(pair.split(":") for pair in _IRREGULAR.split()) | {word: word for word in _ALIKE.split()}


def concepts(text: str) -> list[str]:
    """The content words of a text in lower case and in the singular, in its order."""
    words = (word.lower().replace("’", "'").removesuffix("'s") for word in WORD.findall(text))
    kept = (w for w in words if w not in FUNCTION and len(w) > 1 and not (w.endswith("ly") and w not in NOUNS_IN_LY))
    return [singular(w) for w in kept]


def singular(word: str) -> str:
    """The singular of an English noun in lower case; another word as it is, unless it looks like a plural."""
    if word in SINGULAR:
        return SINGULAR[word]
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes", "zzes", "oes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


class Vocabulary:
    """The concepts that at least `least` captions name, the most frequent first; at most `most` of them (None: all).

    Picklable. Raises DataError where no concept is that frequent.
    """

    def __init__(self, captions: Iterable[str], least: int, most: int | None = None):
        counts = Counter(concept for text in captions for concept in set(concepts(text)))
        often = [concept for concept, count in counts.items() if count >= least]
        if not often:
            told = f"the most frequent of {len(counts):,} words is in {max(counts.values(), default=0):,}"
            raise DataError(f"no word is in {least} captions ({told}); give more captions or ask for fewer")
        self.names = tuple(sorted(often, key=lambda concept: (-counts[concept], concept))[:most])
        self._number = {name: i for i, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    def __call__(self, texts: Sequence[str]) -> list[int]:
        """The numbers of the concepts that any of the texts names, each once, in order."""
        named = (self._number.get(concept) for text in texts for concept in concepts(text))
        return sorted({number for number in named if number is not None})
