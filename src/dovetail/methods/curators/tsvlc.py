"""TSVLC: a caption with one word that tells colour, size, action, ... exchanged for another of its kind is false.

Doveh et al., "Teaching Structured Vision&Language Concepts to Vision&Language Models", 2022.

    a kind of word that the caption has -> a word of that kind in it -> another word of that kind

each drawn evenly. Confirmed against the authors' code: kinds are drawn first, the kinds are colour, material, size,
state and action, and no word that the caption has already is put in.

The word lists are ours (`data/vocabulary.py`), and stricter than theirs: a word is exchanged for one that excludes it,
so that neither `large` nor, in the place of a state, `wet` makes a negative of `big`; relations such as `to the left
of` are a sixth kind, which the paper leaves to the language model of `unmasking`. Words that any true caption, region
or label of the image has are not put in. English only; other captions are left as they are.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from dovetail.catalogue import implements
from dovetail.contracts import Curator
from dovetail.data.falsehoods import true_texts, with_falsehoods
from dovetail.data.records import Record
from dovetail.data.rewording import exchanged, named, others, spots
from dovetail.data.vocabulary import CONTRASTS
from dovetail.data.worlds.draws import Draws

KINDS = ("colour", "material", "size", "state", "action", "relation")


@implements(Curator)
class TSVLC:
    """Adds negative captions in which one word is exchanged by rule.

    Args:
        count: at most so many for each true caption.
        kinds: what the exchanged word may tell.
        seed: another one draws other words.
    """

    requires = ()

    def __init__(self, count: int = 1, kinds: Sequence[str] = KINDS, seed: int = 0):
        if unknown := [kind for kind in kinds if kind not in CONTRASTS]:
            raise ValueError(f"no kind of words is called {', '.join(unknown)}; there are {', '.join(CONTRASTS)}")
        self.count, self.kinds, self.seed = count, tuple(kinds), seed

    def __call__(self, records: Iterable[Record]) -> Iterator[Record]:
        """Each record with its negatives, one at a time."""
        for record in records:
            said = named(true_texts(record))
            yield with_falsehoods(record, self.count, ("tsvlc", self.seed), partial(self._falsehoods, said))

    def _falsehoods(self, said: frozenset[str], text: str, draws: Draws) -> Iterator[str]:
        """Every text with one word exchanged, in a drawn order."""
        left = {kind: [(s, others(s, said)) for s in spots(text, (kind,))] for kind in self.kinds}
        while left := {kind: kept for kind, some in left.items() if (kept := [c for c in some if c[1]])}:
            spot, words = draws.pick(left[draws.pick(list(left))])
            yield exchanged(text, spot.start, spot.end, words.pop(draws.below(len(words))))
