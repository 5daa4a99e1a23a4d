"""What all languages share: how words are chosen, and things that sound the same are counted together."""

from collections.abc import Iterable, Mapping, Sequence

from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.words.statements import Mention


class Wording:
    """The words of one caption: a concept keeps its word throughout.

    words: the wordings of a concept, the usual one first; a concept that is missing is its own word. rare: at this
    rate a concept has its word of `odd` instead, if it has one there.
    """

    def __init__(
        self,
        draws: Draws,
        words: Mapping[str, tuple[str, ...]],
        odd: Mapping[str, str],
        rare: float = 0.0,
    ) -> None:
        self.draws, self._words, self._odd, self._rare = draws, words, odd, rare
        self._chosen: dict[str, str] = {}

    def __call__(self, concept: str) -> str:
        """The word for it: the usual one in three of four captions, rare words aside."""
        if concept not in self._chosen:
            words = self._words.get(concept, (concept,))
            self._chosen[concept] = self.draws.pick((words[0], words[0], *words))
            if self._rare and concept in self._odd and self.draws.chance(self._rare):
                self._chosen[concept] = self._odd[concept]
        return self._chosen[concept]


def grouped(mentions: Iterable[Mention]) -> list[tuple[Mention, int]]:
    """The mentions that sound different, in their order, each with how many sound like it."""
    alike: dict[tuple[str | None, ...], list[Mention]] = {}
    for mention in mentions:
        alike.setdefault(mention.facts, []).append(mention)
    return [(group[0], len(group)) for group in alike.values()]


def joined(phrases: Sequence[str], last: str, comma: str = ", ") -> str:
    """Phrases with commas between them, and `last` (` and `) before the last one."""
    return last.join(filter(None, (comma.join(phrases[:-1]), phrases[-1])))


def sentences(texts: Iterable[str]) -> str:
    """Each with a capital and a full stop."""
    return " ".join(f"{text[0].upper()}{text[1:]}." for text in texts)
