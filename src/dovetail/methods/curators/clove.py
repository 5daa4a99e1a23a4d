"""CLoVe: a word of a caption is replaced by a related one, or two of its words change places; both make it false.

Castro et al., "CLoVe: Encoding Compositional Language in Contrastive Vision-Language Models", 2024.

    replace: a thing, an attribute, an action or a relation -> an opposite or a sibling of it          (REPLACE)
    swap:    two nouns of one number, two adjectives or two verbs of one form change places            (NegCLIP)

Confirmed against the authors' code: both ways are there, the published model is trained with `replace` alone, a
replacement is never a synonym, keeps the form of the word, and one negative is drawn a caption.

Theirs finds words with spaCy's tagger and a scene graph, and siblings in WordNet; here both come from word lists of
ours and a few endings, so that fewer words are found. Not here: swapped phrases and adverbs, and leaving out captions
of a single thing. Added: swaps that say the same, as of `a dog and a cat`, are left out. Differs from `tsvlc` in that
things are exchanged too, and that words may change places. English only.
"""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import combinations

from dovetail.catalogue import implements
from dovetail.contracts import Curator
from dovetail.data.falsehoods import true_texts, with_falsehoods
from dovetail.data.records import Record
from dovetail.data.rewording import Spot, exchanged, named, others, spots, swapped
from dovetail.data.vocabulary import CONTRASTS, senses
from dovetail.data.worlds.draws import Draws

ADJECTIVES = ("colour", "material", "size", "state")
# What these join may be told in either order.
LINKS = frozenset(("and", "or", "with", "near", "beside", "next", "to", "by"))
ARTICLES = frozenset(("a", "an", "the"))
Place = tuple[int, int]


@implements(Curator)
class CLoVe:
    """Adds negative captions in which one word is replaced or two change places.

    Args:
        count: at most so many for each true caption.
        swap: the rate at which a negative is a swap, where the caption has two words for one.
        seed: another one draws other words.
    """

    requires = ()

    def __init__(self, count: int = 1, swap: float = 0.0, seed: int = 0):
        self.count, self.swap, self.seed = count, swap, seed

    def __call__(self, records: Iterable[Record]) -> Iterator[Record]:
        """Each record with its negatives, one at a time."""
        for record in records:
            said = named(true_texts(record))
            yield with_falsehoods(record, self.count, ("clove", self.seed), partial(self._falsehoods, said))

    def _falsehoods(self, said: frozenset[str], text: str, draws: Draws) -> Iterator[str]:
        swaps = draws.shuffled([swapped(text, *pair) for pair in pairs(text)] if self.swap else [])
        swaps = [t for t in swaps if _parts(t) != _parts(text)]
        left = [(spot, words) for spot in spots(text, CONTRASTS) if (words := others(spot, said))]
        while left or swaps:
            if swaps and (draws.chance(self.swap) or not left):
                yield swaps.pop()
            elif left:
                spot, words = draws.pick(left)
                yield exchanged(text, spot.start, spot.end, words.pop(draws.below(len(words))))
                left = [(s, w) for s, w in left if w]
            else:
                return


def pairs(text: str) -> Iterator[tuple[Place, Place]]:
    """Two different words of one class each, but for those that only a link such as `and` parts."""
    places = sorted(_classes(text))
    for (start, end, one), (begin, stop, two) in combinations(places, 2):
        between = set(re.findall(r"[\w'-]+", text[end:begin].lower())) - ARTICLES
        different = text[start:end].lower() != text[begin:stop].lower()
        if one == two and different and not between <= LINKS:
            yield (start, end), (begin, stop)


def _classes(text: str) -> Iterator[tuple[int, int, str]]:
    """Where a noun, an adjective or a verb stands, and which form of which it is."""
    taken = [spot for spot in spots(text, CONTRASTS) if spot.sense.kind != "relation"]
    for spot in taken:
        yield spot.start, spot.end, _class(spot)
    for found in re.finditer(r"[a-z]+", text, re.IGNORECASE):
        kind = _by_ending(found[0].lower())
        if kind and not any(s.start <= found.start() < s.end for s in taken):
            yield found.start(), found.end(), kind


def _class(spot: Spot) -> str:
    if spot.sense.kind in ADJECTIVES:
        return "adjective"
    return spot.sense.form or ("thing" if spot.sense.kind == "thing" else f"verb {spot.word[-3:] == 'ing'}")


def _by_ending(word: str) -> str:
    """The class of a word that no list has, by its ending: `cyclist`, `firemen`, `colourless`."""
    if word.endswith(("less", "ous")):
        return "adjective"
    if word.endswith("ist"):
        return "singular"
    tails = (senses().get(word[i:]) for i in range(3, len(word) - 2))
    return next((s.form for s in tails if s and s.kind == "thing"), "")


def _parts(text: str) -> list[str]:
    """What the links of a text join, in no order."""
    words = [w for w in re.findall(r"[\w'-]+|,", text.lower()) if w not in ARTICLES]
    marked = " ".join("|" if w in LINKS or w == "," else w for w in words)
    return sorted(part.strip() for part in marked.split("|"))
