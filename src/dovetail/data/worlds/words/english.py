"""English: statements in words. Another language is another such file."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never

from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.facts import OPPOSITE
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
from dovetail.data.worlds.words.wording import Wording, grouped, joined, sentences

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
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven")
FRAMES = ("{}", "{}", "{}", "a picture of {}", "an image of {}", "there {be} {}")
REFRAMES = ("the picture shows {}", "{} {are} shown in the picture", "what one sees is {}", "{} can be seen")
COUNT_FRAMES = ("{}", "there {be} {}", "{} can be seen")
RARE = {
    "circle": "roundel",
    "square": "quadrate",
    "triangle": "trigon",
    "ring": "hoop",
    "crescent": "lunule",
    "red": "crimson",
    "orange": "tangerine",
    "yellow": "golden",
    "green": "emerald",
    "blue": "azure",
    "purple": "mauve",
    "pink": "rose",
    "brown": "chestnut",
    "small": "tiny",
    "large": "huge",
    "striped": "banded",
    "dotted": "speckled",
    "checked": "tessellated",
}
OUTLINES = {
    "circle": "a round edge",
    "square": "four equal sides",
    "triangle": "three sides",
    "star": "five points",
    "heart": "two lobes",
    "cross": "four arms",
    "ring": "a hole in the middle",
    "crescent": "two tips",
}
SURFACES = {
    "plain": "a surface without a pattern",
    "striped": "white stripes",
    "dotted": "white dots",
    "checked": "white checks",
}
# What it does, what it is seen doing, and what is done to it.
MOVES = {
    "left": ("moves to the left", "moving to the left", "moved to the left"),
    "right": ("moves to the right", "moving to the right", "moved to the right"),
    "up": ("moves up", "moving up", "moved up"),
    "down": ("moves down", "moving down", "moved down"),
    "turning": ("turns", "turning", "turned"),
    "growing": ("grows", "growing", "enlarged"),
    "shrinking": ("shrinks", "shrinking", "made smaller"),
}
SIDES = {
    "front": "from the front",
    "left": "from the left",
    "right": "from the right",
    "above": "from above",
    "below": "from below",
}


@dataclass(frozen=True)
class English:
    """Statements in English: captions without a full stop, paragraphs of sentences. rare: the rate of rare words."""

    code: str = "en"
    rare: float = 0.0

    def rarely(self, rate: float) -> "English":
        """The same, using rare words at this rate."""
        return replace(self, rare=rate)

    def say(self, statement: Statement, draws: Draws) -> str:
        """The statement in one of its wordings."""
        words = Wording(draws, WORDINGS, RARE, self.rare)
        match statement:
            case Listing(mentions):
                listed = _listed(mentions, words)
                return draws.pick(FRAMES).format(listed, be="is" if listed[0] == "a" else "are")
            case Related():
                return _related(statement, words)
            case Paragraph():
                return _paragraph(statement, words)
            case Counted(mention, count):
                noun = _noun(mention, words)
                number = f"{NUMBERS[count]} {noun if count == 1 else _plural(noun)}"
                return draws.pick(COUNT_FRAMES).format(number, be="is" if count == 1 else "are")
            case Absent(mention):
                return draws.pick(COUNT_FRAMES).format(f"no {_noun(mention, words)}", be="is")
            case Summary(count, background):
                return draws.pick(("{}", "a picture of {}")).format(f"{_shapes(count)} on {_ground(background, words)}")
            case Parts(thing):
                noun = _a(f"{words(thing.colour)} {words(thing.shape)}")
                return f"{noun} {draws.pick(('has', 'shows'))} {OUTLINES[thing.shape]} and {SURFACES[thing.texture]}"
            case Moving(mention, motion):
                moves, moving, _ = MOVES[motion]
                return f"{_a(_noun(mention, words))} {draws.pick((moves, f'is {moving}'))}"
            case Written(word):
                return draws.pick(('the word "{}" is written at the bottom', '"{}" is written at the bottom')).format(
                    word
                )
            case Seen(viewpoint):
                return f"{draws.pick(('seen', 'a view'))} {SIDES[viewpoint]}"
            case AltText(mentions, background):
                things = ", ".join(_counted(_noun(m, words), n) for m, n in grouped(mentions))
                return f"{things}; {words(background)} background"
            case Vague(count):
                forms = (
                    ("a picture of some shapes", "some shapes")
                    if count > 1
                    else ("a picture of a shape", "some shape or other")
                )
                return draws.pick(forms)
            case Reworded(said):
                return _reworded(said, words)
        assert_never(statement)

    def phrase(self, mention: Mention, draws: Draws) -> str:
        """One thing by itself, such as a region's phrase: `a large striped red circle`."""
        return _placed(mention, 1, Wording(draws, WORDINGS, RARE, self.rare))

    def prompts(self, colour: str, shape: str) -> tuple[str, ...]:
        """The usual words for one thing in every frame: texts for zero-shot classification."""
        return tuple(dict.fromkeys(frame.format(_a(f"{colour} {shape}"), be="is") for frame in FRAMES))


def _paragraph(said: Paragraph, words: Wording) -> str:
    listed, background = _listed(said.listing.mentions, words), _ground(said.background, words)
    count = len(said.listing.mentions)
    if count == 1:
        forms = (f"on {background} there is {listed}", f"the picture shows {listed} on {background}")
    else:
        things = _shapes(count)
        forms = f"on {background} there are {things}: {listed}", f"the picture shows {things} on {background}: {listed}"
    texts = [words.draws.pick(forms)]
    for link in said.related:
        texts.append(f"the {_noun(link.subject, words)} is {words(link.relation)} the {_noun(link.object, words)}")
    return sentences(texts)


def _related(said: Related, words: Wording) -> str:
    a, b = _a(_noun(said.subject, words)), _a(_noun(said.object, words))
    by, to_it = words(said.relation), TO_IT[said.relation]
    return words.draws.pick((f"{a} {by} {b}", f"{a} {by} {b}", f"{a} is {by} {b}", f"{b} with {a} {to_it}"))


def _reworded(said: Listing | Related | Moving, words: Wording) -> str:
    """Active and passive, the other order of clauses, the relation from the other side."""
    match said:
        case Listing(mentions):
            are = "is" if len(mentions) == 1 else "are"
            return words.draws.pick(REFRAMES).format(_listed(mentions, words), are=are)
        case Related(subject, name, object_):
            a, b = _a(_noun(subject, words)), _a(_noun(object_, words))
            by, back = words(name), words(OPPOSITE[name])
            forms = (
                f"{by} {b} there is {a}",
                f"{a} can be seen {by} {b}",
                f"{b} is {back} {a}",
                f"{b} has {a} {TO_IT[name]}",
            )
            return words.draws.pick(forms)
        case Moving(mention, motion):
            a, (moves, moving, moved) = _a(_noun(mention, words)), MOVES[motion]
            forms = (f"{a} is seen {moving}", f"one sees {a} {moving}", f"{a} is being {moved}", f"what {moves} is {a}")
            return words.draws.pick(forms)


def _listed(mentions: Iterable[Mention], words: Wording) -> str:
    """Noun phrases joined by commas and `and`; things that sound the same are counted."""
    return joined([_placed(mention, count, words) for mention, count in grouped(mentions)], " and ")


def _placed(mention: Mention, count: int, words: Wording) -> str:
    noun = _noun(mention, words)
    phrase = _a(noun) if count == 1 else _counted(noun, count)
    place = mention.facts[-1]
    return phrase if place is None else f"{phrase} {words(place)}"


def _noun(mention: Mention, words: Wording) -> str:
    return " ".join(words(fact) for fact in mention.facts[:-1] if fact is not None)


def _shapes(count: int) -> str:
    return "one shape" if count == 1 else f"{NUMBERS[count]} shapes"


def _ground(background: str, words: Wording) -> str:
    return f"{_a(words(background))} background"


def _counted(noun: str, count: int) -> str:
    return noun if count == 1 else f"{NUMBERS[count]} {_plural(noun)}"


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _plural(noun: str) -> str:
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


ENGLISH = English()
