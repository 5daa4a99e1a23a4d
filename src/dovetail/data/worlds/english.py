"""English: statements in words. Another language is another such file."""

from dataclasses import dataclass

from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.statements import Listing, Mention, Paragraph, Related, Statement

# The first word is the usual one.
WORDINGS: dict[str, tuple[str, ...]] = {
    "circle": ("circle", "disc"),
    "purple": ("purple", "violet"),
    "small": ("small", "little"),
    "medium": ("medium-sized", "mid-sized"),
    "large": ("large", "big"),
    "plain": ("plain", "solid"),
    "striped": ("striped", "stripy"),
    "dotted": ("dotted", "spotted"),
    "checked": ("checked", "chequered"),
    "crescent": ("crescent", "moon"),
    "grey": ("grey", "gray"),
    "left of": ("to the left of", "left of"),
    "right of": ("to the right of", "right of"),
    "below": ("below", "under"),
    "upper left": ("in the upper left", "at the top left"),
    "upper right": ("in the upper right", "at the top right"),
    "lower left": ("in the lower left", "at the bottom left"),
    "lower right": ("in the lower right", "at the bottom right"),
    "left": ("on the left", "at the left"),
    "right": ("on the right", "at the right"),
    "top": ("at the top", "near the top"),
    "bottom": ("at the bottom", "near the bottom"),
    "centre": ("in the centre", "in the middle"),
}
TO_IT = {"left of": "to its left", "right of": "to its right", "above": "above it", "below": "below it"}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
FRAMES = ("{}", "{}", "{}", "a picture of {}", "an image of {}", "there {be} {}")


class Wording:
    """The words of one caption: a concept keeps its word throughout."""

    def __init__(self, draws: Draws) -> None:
        self.draws = draws
        self._chosen: dict[str, str] = {}

    def __call__(self, concept: str) -> str:
        """The word for it: the usual one in three of four captions."""
        if concept not in self._chosen:
            words = WORDINGS.get(concept, (concept,))
            self._chosen[concept] = self.draws.pick((words[0], words[0], *words))
        return self._chosen[concept]


@dataclass(frozen=True)
class English:
    """Statements in English: captions without a full stop, paragraphs of sentences."""

    code: str = "en"

    def say(self, statement: Statement, draws: Draws) -> str:
        """The statement in one of its wordings."""
        words = Wording(draws)
        match statement:
            case Listing():
                listed = _listed(statement, words)
                return draws.pick(FRAMES).format(listed, be="is" if listed[0] == "a" else "are")
            case Related():
                return _related(statement, words)
            case Paragraph():
                return _paragraph(statement, words)

    def phrase(self, mention: Mention, draws: Draws) -> str:
        """One thing by itself, such as a region's phrase: `a large striped red circle`."""
        return _placed(mention, 1, Wording(draws))

    def prompts(self, colour: str, shape: str) -> tuple[str, ...]:
        """The usual words for one thing in every frame: texts for zero-shot classification."""
        return tuple(dict.fromkeys(frame.format(_a(f"{colour} {shape}"), be="is") for frame in FRAMES))


def _paragraph(said: Paragraph, words: Wording) -> str:
    listed, background = _listed(said.listing, words), f"{_a(words(said.background))} background"
    count = len(said.listing.mentions)
    if count == 1:
        forms = (f"on {background} there is {listed}", f"the picture shows {listed} on {background}")
    else:
        things = f"{NUMBERS[count]} shapes"
        forms = f"on {background} there are {things}: {listed}", f"the picture shows {things} on {background}: {listed}"
    sentences = [words.draws.pick(forms)]
    for link in said.related:
        sentences.append(f"the {_noun(link.subject, words)} is {words(link.relation)} the {_noun(link.object, words)}")
    return " ".join(f"{s[0].upper()}{s[1:]}." for s in sentences)


def _related(said: Related, words: Wording) -> str:
    a, b = _a(_noun(said.subject, words)), _a(_noun(said.object, words))
    by, to_it = words(said.relation), TO_IT[said.relation]
    return words.draws.pick((f"{a} {by} {b}", f"{a} {by} {b}", f"{a} is {by} {b}", f"{b} with {a} {to_it}"))


def _listed(said: Listing, words: Wording) -> str:
    """Noun phrases joined by commas and `and`; things that sound the same are counted."""
    alike: dict[tuple[str | None, ...], list[Mention]] = {}
    for mention in said.mentions:
        alike.setdefault(mention.facts, []).append(mention)
    phrases = [_placed(group[0], len(group), words) for group in alike.values()]
    return " and ".join(filter(None, (", ".join(phrases[:-1]), phrases[-1])))


def _placed(mention: Mention, count: int, words: Wording) -> str:
    noun = _noun(mention, words)
    phrase = _a(noun) if count == 1 else f"{NUMBERS[count]} {_plural(noun)}"
    place = mention.facts[-1]
    return phrase if place is None else f"{phrase} {words(place)}"


def _noun(mention: Mention, words: Wording) -> str:
    return " ".join(words(fact) for fact in mention.facts[:-1] if fact is not None)


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _plural(noun: str) -> str:
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


ENGLISH = English()
