"""German: statements in words, with gender, case and the endings of adjectives."""

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

# The first word is the usual one; adjectives without their ending.
WORDINGS: dict[str, tuple[str, ...]] = {
    "circle": ("Kreis", "Scheibe"),
    "square": ("Quadrat",),
    "triangle": ("Dreieck",),
    "star": ("Stern",),
    "heart": ("Herz",),
    "cross": ("Kreuz",),
    "ring": ("Ring",),
    "crescent": ("Halbmond", "Mondsichel"),
    "red": ("rot",),
    "orange": ("orangefarben",),
    "yellow": ("gelb",),
    "green": ("grün",),
    "blue": ("blau",),
    "purple": ("violett", "lilafarben"),
    "pink": ("rosafarben",),
    "brown": ("braun",),
    "white": ("weiß",),
    "cream": ("cremefarben",),
    "grey": ("grau",),
    "black": ("schwarz",),
    "small": ("klein",),
    "medium": ("mittelgroß",),
    "large": ("groß",),
    "plain": ("einfarbig", "ungemustert"),
    "striped": ("gestreift",),
    "dotted": ("gepunktet", "getupft"),
    "checked": ("kariert",),
    "left of": ("links von", "links neben"),
    "right of": ("rechts von", "rechts neben"),
    "above": ("über",),
    "below": ("unter",),
    "upper left": ("oben links", "links oben"),
    "upper right": ("oben rechts", "rechts oben"),
    "lower left": ("unten links", "links unten"),
    "lower right": ("unten rechts", "rechts unten"),
    "left": ("links", "auf der linken Seite"),
    "right": ("rechts", "auf der rechten Seite"),
    "top": ("oben",),
    "bottom": ("unten",),
    "centre": ("in der Mitte", "im Zentrum"),
}
RARE = {
    "ring": "Reif",
    "crescent": "Sichel",
    "red": "karminrot",
    "yellow": "zitronengelb",
    "green": "smaragdgrün",
    "blue": "azurblau",
    "purple": "fliederfarben",
    "pink": "pinkfarben",
    "brown": "kastanienbraun",
    "small": "winzig",
    "large": "riesig",
    "dotted": "gesprenkelt",
    "checked": "gewürfelt",
}
# Gender and plural of every noun.
NOUNS = {
    "Kreis": ("m", "Kreise"),
    "Scheibe": ("f", "Scheiben"),
    "Quadrat": ("n", "Quadrate"),
    "Dreieck": ("n", "Dreiecke"),
    "Stern": ("m", "Sterne"),
    "Herz": ("n", "Herzen"),
    "Kreuz": ("n", "Kreuze"),
    "Ring": ("m", "Ringe"),
    "Reif": ("m", "Reife"),
    "Halbmond": ("m", "Halbmonde"),
    "Mondsichel": ("f", "Mondsicheln"),
    "Sichel": ("f", "Sicheln"),
}
DATIVES = {"Herz": "Herzen"}  # the others are as in the nominative
A = {
    "nominative": {"m": "ein", "f": "eine", "n": "ein"},
    "accusative": {"m": "einen", "f": "eine", "n": "ein"},
    "dative": {"m": "einem", "f": "einer", "n": "einem"},
}
THE = {"nominative": {"m": "der", "f": "die", "n": "das"}, "dative": {"m": "dem", "f": "der", "n": "dem"}}
# Endings of adjectives after `ein` and `kein`; those of the nominative also stand without an article.
ENDINGS = {
    "nominative": {"m": "er", "f": "e", "n": "es"},
    "accusative": {"m": "en", "f": "e", "n": "es"},
    "dative": {"m": "en", "f": "en", "n": "en"},
}
DAVON = {"left of": "links davon", "right of": "rechts davon", "above": "darüber", "below": "darunter"}
NUMBERS = ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf")
# A frame and the case of what it holds; {ist}, {wird}: singular or plural.
FRAMES = (
    ("{}", "nominative"),
    ("{}", "nominative"),
    ("{}", "nominative"),
    ("ein Bild von {}", "dative"),
    ("ein Bild mit {}", "dative"),
    ("es gibt {}", "accusative"),
)
REFRAMES = (
    ("das Bild zeigt {}", "accusative"),
    ("auf dem Bild {wird} {} gezeigt", "nominative"),
    ("man sieht {}", "accusative"),
    ("{} {ist} zu sehen", "nominative"),
)
COUNT_FRAMES = (("{}", "nominative"), ("es gibt {}", "accusative"), ("{} {ist} zu sehen", "nominative"))
OUTLINES = {
    "circle": "einen runden Rand",
    "square": "vier gleich lange Seiten",
    "triangle": "drei Seiten",
    "star": "fünf Zacken",
    "heart": "zwei Bögen",
    "cross": "vier Arme",
    "ring": "ein Loch in der Mitte",
    "crescent": "zwei Spitzen",
}
SURFACES = {
    "plain": "eine Fläche ohne Muster",
    "striped": "weiße Streifen",
    "dotted": "weiße Punkte",
    "checked": "weiße Karos",
}
# What it does, in two wordings, and the same as a relative clause.
MOVES = {
    "left": ("bewegt sich nach links", "wandert nach links", "sich nach links bewegt"),
    "right": ("bewegt sich nach rechts", "wandert nach rechts", "sich nach rechts bewegt"),
    "up": ("bewegt sich nach oben", "wandert nach oben", "sich nach oben bewegt"),
    "down": ("bewegt sich nach unten", "wandert nach unten", "sich nach unten bewegt"),
    "turning": ("dreht sich", "rotiert", "sich dreht"),
    "growing": ("wird größer", "wächst", "größer wird"),
    "shrinking": ("wird kleiner", "schrumpft", "kleiner wird"),
}
SIDES = {"front": "von vorne", "left": "von links", "right": "von rechts", "above": "von oben", "below": "von unten"}


@dataclass(frozen=True)
class German:
    """Statements in German: captions without a full stop, paragraphs of sentences. rare: the rate of rare words."""

    code: str = "de"
    rare: float = 0.0

    def rarely(self, rate: float) -> "German":
        """The same, using rare words at this rate."""
        return replace(self, rare=rate)

    def say(self, statement: Statement, draws: Draws) -> str:
        """The statement in one of its wordings."""
        words = Wording(draws, WORDINGS, RARE, self.rare)
        match statement:
            case Listing(mentions):
                frame, case = draws.pick(FRAMES)
                return frame.format(_listed(mentions, case, words))
            case Related():
                return _related(statement, words)
            case Paragraph():
                return _paragraph(statement, words)
            case Counted(mention, count):
                frame, case = draws.pick(COUNT_FRAMES)
                return frame.format(_number(mention, count, case, words), ist="ist" if count == 1 else "sind")
            case Absent(mention):
                frame, case = draws.pick(COUNT_FRAMES)
                return frame.format(f"k{_a(mention, case, words)}", ist="ist")
            case Summary(count, background):
                return draws.pick(("{}", "ein Bild mit {}")).format(
                    f"{_shapes(count)} auf {_ground(background, words)}"
                )
            case Parts(thing):
                subject = _a(Mention(thing, frozenset(("colour",))), "nominative", words)
                return (
                    f"{subject} {draws.pick(('hat', 'besitzt'))} {OUTLINES[thing.shape]} und {SURFACES[thing.texture]}"
                )
            case Moving(mention, motion):
                return f"{_a(mention, 'nominative', words)} {draws.pick(MOVES[motion][:2])}"
            case Written(word):
                return draws.pick(("unten steht das Wort „{}“", "das Wort „{}“ steht unten im Bild")).format(word)
            case Seen(viewpoint):
                return draws.pick(("{} gesehen", "Blick {}")).format(SIDES[viewpoint])
            case AltText(mentions, background):
                things = ", ".join(_terse(m, n, words) for m, n in grouped(mentions))
                return f"{things}; {words(background)}er Hintergrund"
            case Vague(count):
                several = ("ein Bild mit einigen Formen", "einige Formen")
                return draws.pick(several if count > 1 else ("ein Bild mit einer Form", "irgendeine Form"))
            case Reworded(said):
                return _reworded(said, words)
        assert_never(statement)

    def phrase(self, mention: Mention, draws: Draws) -> str:
        """One thing by itself, such as a region's phrase: `ein großer gestreifter roter Kreis`."""
        return _placed(mention, 1, "nominative", Wording(draws, WORDINGS, RARE, self.rare))

    def prompts(self, colour: str, shape: str) -> tuple[str, ...]:
        """The usual words for one thing in every frame: texts for zero-shot classification."""
        noun = WORDINGS[shape][0]
        gender = NOUNS[noun][0]
        found = []
        for frame, case in FRAMES:
            shown = DATIVES.get(noun, noun) if case == "dative" else noun
            found.append(frame.format(f"{A[case][gender]} {WORDINGS[colour][0]}{ENDINGS[case][gender]} {shown}"))
        return tuple(dict.fromkeys(found))


def _paragraph(said: Paragraph, words: Wording) -> str:
    listed, background = _listed(said.listing.mentions, "accusative", words), _ground(said.background, words)
    count = len(said.listing.mentions)
    if count == 1:
        forms = (f"auf {background} gibt es {listed}", f"das Bild zeigt {listed} auf {background}")
    else:
        things = _shapes(count)
        forms = (f"auf {background} gibt es {things}: {listed}", f"das Bild zeigt {things} auf {background}: {listed}")
    texts = [words.draws.pick(forms)]
    for link in said.related:
        a, b = _the(link.subject, "nominative", words), _the(link.object, "dative", words)
        texts.append(f"{a} ist {words(link.relation)} {b}".replace("von dem ", "vom "))
    return sentences(texts)


def _related(said: Related, words: Wording) -> str:
    a, by, b = _a(said.subject, "nominative", words), words(said.relation), _a(said.object, "dative", words)
    turned = f"{_a(said.object, 'nominative', words)} mit {_a(said.subject, 'dative', words)} {DAVON[said.relation]}"
    return words.draws.pick((f"{a} {by} {b}", f"{a} {by} {b}", f"{a} ist {by} {b}", turned))


def _reworded(said: Listing | Related | Moving, words: Wording) -> str:
    """Active and passive, the other order of clauses, the relation from the other side."""
    match said:
        case Listing(mentions):
            frame, case = words.draws.pick(REFRAMES)
            ist, wird = ("ist", "wird") if len(mentions) == 1 else ("sind", "werden")
            return frame.format(_listed(mentions, case, words), ist=ist, wird=wird)
        case Related(subject, name, object_):
            a, by, b = _a(subject, "nominative", words), words(name), _a(object_, "dative", words)
            seen = f"man sieht {_a(subject, 'accusative', words)} {by} {b}"
            turned = f"{_a(object_, 'nominative', words)} ist {words(OPPOSITE[name])} {_a(subject, 'dative', words)}"
            return words.draws.pick((f"{by} {b} ist {a}", f"{a} ist {by} {b} zu sehen", seen, turned))
        case Moving(mention, motion):
            a, clause = _a(mention, "nominative", words), MOVES[motion][2]
            who = THE["nominative"][NOUNS[words(mention.thing.shape)][0]]
            seen = f"man sieht {_a(mention, 'accusative', words)}, {who} {clause}"
            return words.draws.pick((seen, f"es ist {a}, {who} {clause}", f"was {clause}, ist {a}"))


def _listed(mentions: Iterable[Mention], case: str, words: Wording) -> str:
    return joined([_placed(mention, count, case, words) for mention, count in grouped(mentions)], " und ")


def _placed(mention: Mention, count: int, case: str, words: Wording) -> str:
    phrase, place = _number(mention, count, case, words), mention.facts[-1]
    return phrase if place is None else f"{phrase} {words(place)}"


def _number(mention: Mention, count: int, case: str, words: Wording) -> str:
    """`einen roten Kreis`, `zwei rote Kreise`."""
    if count == 1:
        return _a(mention, case, words)
    plural = NOUNS[words(mention.thing.shape)][1]
    if case == "dative":
        return f"{NUMBERS[count]} {_described(mention, 'en', words)}{plural.removesuffix('n')}n"
    return f"{NUMBERS[count]} {_described(mention, 'e', words)}{plural}"


def _terse(mention: Mention, count: int, words: Wording) -> str:
    noun = words(mention.thing.shape)
    if count == 1:
        return f"{_described(mention, ENDINGS['nominative'][NOUNS[noun][0]], words)}{noun}"
    return _number(mention, count, "nominative", words)


def _a(mention: Mention, case: str, words: Wording) -> str:
    noun = words(mention.thing.shape)
    gender = NOUNS[noun][0]
    return f"{A[case][gender]} {_described(mention, ENDINGS[case][gender], words)}{_cased(noun, case)}"


def _the(mention: Mention, case: str, words: Wording) -> str:
    noun = words(mention.thing.shape)
    article, ending = THE[case][NOUNS[noun][0]], "en" if case == "dative" else "e"
    return f"{article} {_described(mention, ending, words)}{_cased(noun, case)}"


def _cased(noun: str, case: str) -> str:
    return DATIVES.get(noun, noun) if case == "dative" else noun


def _described(mention: Mention, ending: str, words: Wording) -> str:
    """The adjectives, each with the ending and a space."""
    return "".join(f"{words(fact)}{ending} " for fact in mention.facts[:3] if fact is not None)


def _shapes(count: int) -> str:
    return "eine Form" if count == 1 else f"{NUMBERS[count]} Formen"


def _ground(background: str, words: Wording) -> str:
    """In the dative, as after `auf`."""
    return f"{words(background)}em Hintergrund"


GERMAN = German()
