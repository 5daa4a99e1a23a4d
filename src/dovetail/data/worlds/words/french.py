"""French: statements in words, with gender, number, elision and the place of adjectives."""

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

# The first word is the usual one; adjectives in the masculine singular.
WORDINGS: dict[str, tuple[str, ...]] = {
    "circle": ("cercle", "disque"),
    "square": ("carré",),
    "triangle": ("triangle",),
    "star": ("étoile",),
    "heart": ("cœur",),
    "cross": ("croix",),
    "ring": ("anneau",),
    "crescent": ("croissant", "croissant de lune"),
    "red": ("rouge",),
    "orange": ("orange",),
    "yellow": ("jaune",),
    "green": ("vert",),
    "blue": ("bleu",),
    "purple": ("violet",),
    "pink": ("rose",),
    "brown": ("marron", "brun"),
    "white": ("blanc",),
    "cream": ("crème",),
    "grey": ("gris",),
    "black": ("noir",),
    "small": ("petit",),
    "medium": ("de taille moyenne", "de taille intermédiaire"),
    "large": ("grand", "gros"),
    "plain": ("uni",),
    "striped": ("rayé", "à rayures"),
    "dotted": ("à pois",),
    "checked": ("à carreaux", "quadrillé"),
    "left of": ("à gauche de", "à la gauche de"),
    "right of": ("à droite de", "à la droite de"),
    "above": ("au-dessus de",),
    "below": ("en dessous de", "au-dessous de"),
    "upper left": ("en haut à gauche",),
    "upper right": ("en haut à droite",),
    "lower left": ("en bas à gauche",),
    "lower right": ("en bas à droite",),
    "left": ("à gauche", "sur la gauche"),
    "right": ("à droite", "sur la droite"),
    "top": ("en haut",),
    "bottom": ("en bas",),
    "centre": ("au centre", "au milieu"),
}
RARE = {
    "crescent": "lunule",
    "red": "écarlate",
    "yellow": "citron",
    "green": "émeraude",
    "blue": "azur",
    "purple": "mauve",
    "pink": "fuchsia",
    "small": "minuscule",
    "large": "énorme",
    "striped": "zébré",
    "dotted": "moucheté",
    "checked": "à damier",
}
FEMININE_NOUNS = {"étoile", "croix", "lunule"}
PLURALS = {"croissant de lune": "croissants de lune", "croix": "croix", "anneau": "anneaux"}
INVARIABLE = {"orange", "marron", "crème", "citron", "émeraude", "azur", "fuchsia"}
FEMININES = {"violet": "violette", "blanc": "blanche", "gros": "grosse"}
BEFORE = {"petit", "grand", "gros", "minuscule", "énorme"}  # these stand before the noun
TO_IT = {"left of": "à sa gauche", "right of": "à sa droite", "above": "au-dessus", "below": "en dessous"}
NUMBERS = ("zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix", "onze")
FRAMES = ("{}", "{}", "{}", "une image avec {}", "une image montrant {}", "il y a {}")
REFRAMES = ("l'image montre {}", "{} {est} dans l'image", "on peut voir {}", "dans l'image, on distingue {}")
COUNT_FRAMES = ("{}", "il y a {}", "on voit {}")
NO_FRAMES = ("{}", "il n'y a {}", "on ne voit {}")
OUTLINES = {
    "circle": "un bord rond",
    "square": "quatre côtés égaux",
    "triangle": "trois côtés",
    "star": "cinq branches",
    "heart": "deux lobes",
    "cross": "quatre bras",
    "ring": "un trou au milieu",
    "crescent": "deux pointes",
}
SURFACES = {
    "plain": "une surface sans motif",
    "striped": "des rayures blanches",
    "dotted": "des pois blancs",
    "checked": "des carreaux blancs",
}
VOWELS = "aeiouéœ"  # before these, articles and `de` lose theirs
# What it does, in two wordings, and the infinitive.
MOVES = {
    "left": ("se déplace vers la gauche", "va vers la gauche", "se déplacer vers la gauche"),
    "right": ("se déplace vers la droite", "va vers la droite", "se déplacer vers la droite"),
    "up": ("se déplace vers le haut", "monte", "monter"),
    "down": ("se déplace vers le bas", "descend", "descendre"),
    "turning": ("tourne", "pivote", "tourner"),
    "growing": ("grandit", "s'agrandit", "grandir"),
    "shrinking": ("rétrécit", "rapetisse", "rétrécir"),
}
SIDES = {"front": "de face", "left": "de gauche", "right": "de droite", "above": "du dessus", "below": "du dessous"}


@dataclass(frozen=True)
class French:
    """Statements in French: captions without a full stop, paragraphs of sentences. rare: the rate of rare words."""

    code: str = "fr"
    rare: float = 0.0

    def rarely(self, rate: float) -> "French":
        """The same, using rare words at this rate."""
        return replace(self, rare=rate)

    def say(self, statement: Statement, draws: Draws) -> str:
        """The statement in one of its wordings."""
        words = Wording(draws, WORDINGS, RARE, self.rare)
        match statement:
            case Listing(mentions):
                return draws.pick(FRAMES).format(_listed(mentions, words))
            case Related():
                return _related(statement, words)
            case Paragraph():
                return _paragraph(statement, words)
            case Counted(mention, count):
                return draws.pick(COUNT_FRAMES).format(_number(mention, count, words))
            case Absent(mention):
                none = "aucune" if _feminine(mention, words) else "aucun"
                return draws.pick(NO_FRAMES).format(f"{none} {_noun(mention, words)}")
            case Summary(count, background):
                return draws.pick(("{}", "une image avec {}")).format(
                    f"{_shapes(count)} sur {_ground(background, words)}"
                )
            case Parts(thing):
                subject = _a(Mention(thing, frozenset(("colour",))), words)
                return f"{subject} {draws.pick(('a', 'possède'))} {OUTLINES[thing.shape]} et {SURFACES[thing.texture]}"
            case Moving(mention, motion):
                return f"{_a(mention, words)} {draws.pick(MOVES[motion][:2])}"
            case Written(word):
                return draws.pick(("le mot « {} » est écrit en bas", "on lit « {} » en bas")).format(word)
            case Seen(viewpoint):
                return f"{draws.pick(('vue', 'une vue'))} {SIDES[viewpoint]}"
            case AltText(mentions, background):
                things = ", ".join(_terse(m, n, words) for m, n in grouped(mentions))
                return f"{things} ; fond {words(background)}"
            case Vague(count):
                several = ("une image avec quelques formes", "quelques formes")
                return draws.pick(several if count > 1 else ("une image avec une forme", "une forme quelconque"))
            case Reworded(said):
                return _reworded(said, words)
        assert_never(statement)

    def phrase(self, mention: Mention, draws: Draws) -> str:
        """One thing by itself, such as a region's phrase: `un grand cercle rouge rayé`."""
        return _placed(mention, 1, Wording(draws, WORDINGS, RARE, self.rare))

    def prompts(self, colour: str, shape: str) -> tuple[str, ...]:
        """The usual words for one thing in every frame: texts for zero-shot classification."""
        noun, adjective = WORDINGS[shape][0], WORDINGS[colour][0]
        feminine = noun in FEMININE_NOUNS
        thing = f"{'une' if feminine else 'un'} {noun} {_agreeing(adjective, feminine, False)}"
        return tuple(dict.fromkeys(frame.format(thing) for frame in FRAMES))


def _paragraph(said: Paragraph, words: Wording) -> str:
    listed, background = _listed(said.listing.mentions, words), _ground(said.background, words)
    count = len(said.listing.mentions)
    if count == 1:
        forms = (f"sur {background}, il y a {listed}", f"l'image montre {listed} sur {background}")
    else:
        things = _shapes(count)
        forms = (
            f"sur {background}, il y a {things} : {listed}",
            f"l'image montre {things} sur {background} : {listed}",
        )
    texts = [words.draws.pick(forms)]
    for link in said.related:
        by = _of(words(link.relation), _the(link.object, words))
        texts.append(f"{_the(link.subject, words)} est {by}")
    return sentences(texts)


def _related(said: Related, words: Wording) -> str:
    a, b = _a(said.subject, words), _a(said.object, words)
    by = _of(words(said.relation), b)
    return words.draws.pick((f"{a} {by}", f"{a} {by}", f"{a} est {by}", f"{b} avec {a} {TO_IT[said.relation]}"))


def _reworded(said: Listing | Related | Moving, words: Wording) -> str:
    """The other order of clauses, the relation from the other side, what one sees instead of what there is."""
    match said:
        case Listing(mentions):
            feminine = all(_feminine(m, words) for m in mentions)
            shown = f"{'est' if len(mentions) == 1 else 'sont'} {_agreeing('montré', feminine, len(mentions) > 1)}"
            return words.draws.pick(REFRAMES).format(_listed(mentions, words), est=shown)
        case Related(subject, name, object_):
            a, b = _a(subject, words), _a(object_, words)
            by, back = _of(words(name), b), _of(words(OPPOSITE[name]), a)
            return words.draws.pick(
                (f"{by}, il y a {a}", f"on voit {a} {by}", f"{b} est {back}", f"{b} a {a} {TO_IT[name]}")
            )
        case Moving(mention, motion):
            a, (moves, _, move) = _a(mention, words), MOVES[motion]
            return words.draws.pick((f"on voit {a} {move}", f"c'est {a} qui {moves}", f"il y a {a} qui {moves}"))


def _listed(mentions: Iterable[Mention], words: Wording) -> str:
    return joined([_placed(mention, count, words) for mention, count in grouped(mentions)], " et ")


def _placed(mention: Mention, count: int, words: Wording) -> str:
    phrase, place = _number(mention, count, words), mention.facts[-1]
    return phrase if place is None else f"{phrase} {words(place)}"


def _number(mention: Mention, count: int, words: Wording) -> str:
    """`un cercle rouge`, `deux cercles rouges`."""
    return _a(mention, words) if count == 1 else f"{NUMBERS[count]} {_noun(mention, words, plural=True)}"


def _terse(mention: Mention, count: int, words: Wording) -> str:
    return _noun(mention, words) if count == 1 else _number(mention, count, words)


def _a(mention: Mention, words: Wording) -> str:
    return f"{'une' if _feminine(mention, words) else 'un'} {_noun(mention, words)}"


def _the(mention: Mention, words: Wording) -> str:
    noun = _noun(mention, words)
    if noun[0] in VOWELS:
        return f"l'{noun}"
    return f"{'la' if _feminine(mention, words) else 'le'} {noun}"


def _of(before: str, phrase: str) -> str:
    """`before` ends with `de`, which merges with what follows: `d'un`, `du`."""
    if phrase[0] in VOWELS:
        return f"{before.removesuffix('e')}'{phrase}"
    if phrase.startswith("le "):
        return f"{before.removesuffix('e')}u {phrase.removeprefix('le ')}"
    return f"{before} {phrase}"


def _noun(mention: Mention, words: Wording, plural: bool = False) -> str:
    """Noun and adjectives, without an article."""
    feminine, noun = _feminine(mention, words), words(mention.thing.shape)
    size, texture, colour = (words(fact) if fact is not None else None for fact in mention.facts[:3])
    shown = PLURALS.get(noun, f"{noun}s") if plural else noun
    before, after = (size, None) if size in BEFORE else (None, size)
    parts = [before, shown, colour, texture, after]
    return " ".join(p if p is shown else _agreeing(p, feminine, plural) for p in parts if p is not None)


def _feminine(mention: Mention, words: Wording) -> bool:
    return words(mention.thing.shape) in FEMININE_NOUNS


def _agreeing(adjective: str, feminine: bool, plural: bool) -> str:
    """The form of an adjective; colours named after things, and `à pois`, have but one."""
    if adjective in INVARIABLE or " " in adjective:
        return adjective
    if feminine:
        adjective = FEMININES.get(adjective, adjective if adjective.endswith("e") else f"{adjective}e")
    return f"{adjective}s" if plural and adjective[-1] not in "sx" else adjective


def _shapes(count: int) -> str:
    return "une forme" if count == 1 else f"{NUMBERS[count]} formes"


def _ground(background: str, words: Wording) -> str:
    return f"un fond {words(background)}"


FRENCH = French()
