"""Spanish: statements in words, with gender and number."""

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
    "circle": ("círculo", "disco"),
    "square": ("cuadrado",),
    "triangle": ("triángulo",),
    "star": ("estrella",),
    "heart": ("corazón",),
    "cross": ("cruz",),
    "ring": ("anillo", "aro"),
    "crescent": ("media luna",),
    "red": ("rojo",),
    "orange": ("naranja", "anaranjado"),
    "yellow": ("amarillo",),
    "green": ("verde",),
    "blue": ("azul",),
    "purple": ("morado", "violeta"),
    "pink": ("rosa", "rosado"),
    "brown": ("marrón",),
    "white": ("blanco",),
    "cream": ("crema",),
    "grey": ("gris",),
    "black": ("negro",),
    "small": ("pequeño",),
    "medium": ("mediano", "de tamaño medio"),
    "large": ("grande",),
    "plain": ("liso", "sin dibujo"),
    "striped": ("a rayas", "rayado"),
    "dotted": ("de lunares", "con lunares"),
    "checked": ("a cuadros", "de cuadros"),
    "left of": ("a la izquierda de", "a mano izquierda de"),
    "right of": ("a la derecha de", "a mano derecha de"),
    "above": ("encima de", "por encima de"),
    "below": ("debajo de", "por debajo de"),
    "upper left": ("arriba a la izquierda", "en la parte superior izquierda"),
    "upper right": ("arriba a la derecha", "en la parte superior derecha"),
    "lower left": ("abajo a la izquierda", "en la parte inferior izquierda"),
    "lower right": ("abajo a la derecha", "en la parte inferior derecha"),
    "left": ("a la izquierda", "en el lado izquierdo"),
    "right": ("a la derecha", "en el lado derecho"),
    "top": ("arriba", "en la parte superior"),
    "bottom": ("abajo", "en la parte inferior"),
    "centre": ("en el centro", "en el medio"),
}
RARE = {
    "ring": "arete",
    "crescent": "lúnula",
    "red": "carmesí",
    "yellow": "gualdo",
    "green": "esmeralda",
    "blue": "añil",
    "purple": "malva",
    "pink": "fucsia",
    "brown": "castaño",
    "small": "diminuto",
    "large": "enorme",
    "dotted": "moteado",
    "checked": "ajedrezado",
}
FEMININE_NOUNS = {"estrella", "cruz", "media luna", "lúnula"}
PLURALS = {"corazón": "corazones", "cruz": "cruces", "media luna": "medias lunas", "marrón": "marrones"}
INVARIABLE = {"crema", "esmeralda"}
TO_IT = {"left of": "a su izquierda", "right of": "a su derecha", "above": "encima", "below": "debajo"}
NUMBERS = ("cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez", "once")
FRAMES = ("{}", "{}", "{}", "una imagen de {}", "una imagen con {}", "hay {}")
REFRAMES = ("la imagen muestra {}", "en la imagen se {ve} {}", "en la imagen {aparece} {}", "se {puede} ver {}")
COUNT_FRAMES = ("{}", "hay {}", "se {ve} {}")
NO_FRAMES = ("{}", "no hay {}", "no se ve {}")
OUTLINES = {
    "circle": "un borde redondo",
    "square": "cuatro lados iguales",
    "triangle": "tres lados",
    "star": "cinco puntas",
    "heart": "dos lóbulos",
    "cross": "cuatro brazos",
    "ring": "un agujero en el centro",
    "crescent": "dos extremos afilados",
}
SURFACES = {
    "plain": "una superficie sin dibujo",
    "striped": "rayas blancas",
    "dotted": "lunares blancos",
    "checked": "cuadros blancos",
}
MOVES = {
    "left": ("se mueve hacia la izquierda", "se desplaza hacia la izquierda"),
    "right": ("se mueve hacia la derecha", "se desplaza hacia la derecha"),
    "up": ("se mueve hacia arriba", "sube"),
    "down": ("se mueve hacia abajo", "baja"),
    "turning": ("gira", "da vueltas"),
    "growing": ("crece", "aumenta de tamaño"),
    "shrinking": ("se encoge", "disminuye de tamaño"),
}
SIDES = {
    "front": "de frente",
    "left": "desde la izquierda",
    "right": "desde la derecha",
    "above": "desde arriba",
    "below": "desde abajo",
}


@dataclass(frozen=True)
class Spanish:
    """Statements in Spanish: captions without a full stop, paragraphs of sentences. rare: the rate of rare words."""

    code: str = "es"
    rare: float = 0.0

    def rarely(self, rate: float) -> "Spanish":
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
                ve = "ve" if count == 1 else "ven"
                return draws.pick(COUNT_FRAMES).format(_number(mention, count, words), ve=ve)
            case Absent(mention):
                none = "ninguna" if _feminine(mention, words) else "ningún"
                return draws.pick(NO_FRAMES).format(f"{none} {_noun(mention, words)}")
            case Summary(count, background):
                return draws.pick(("{}", "una imagen con {}")).format(
                    f"{_shapes(count)} sobre {_ground(background, words)}"
                )
            case Parts(thing):
                subject = _a(Mention(thing, frozenset(("colour",))), words)
                return (
                    f"{subject} {draws.pick(('tiene', 'muestra'))} {OUTLINES[thing.shape]} y {SURFACES[thing.texture]}"
                )
            case Moving(mention, motion):
                return f"{_a(mention, words)} {draws.pick(MOVES[motion])}"
            case Written(word):
                return draws.pick(("la palabra «{}» está escrita abajo", "abajo se lee «{}»")).format(word)
            case Seen(viewpoint):
                return f"{draws.pick(('vista', 'una vista'))} {SIDES[viewpoint]}"
            case AltText(mentions, background):
                things = ", ".join(_terse(m, n, words) for m, n in grouped(mentions))
                return f"{things}; fondo {words(background)}"
            case Vague(count):
                several = ("una imagen con algunas figuras", "algunas figuras")
                return draws.pick(several if count > 1 else ("una imagen con una figura", "una figura cualquiera"))
            case Reworded(said):
                return _reworded(said, words)
        assert_never(statement)

    def phrase(self, mention: Mention, draws: Draws) -> str:
        """One thing by itself, such as a region's phrase: `un círculo rojo grande a rayas`."""
        return _placed(mention, 1, Wording(draws, WORDINGS, RARE, self.rare))

    def prompts(self, colour: str, shape: str) -> tuple[str, ...]:
        """The usual words for one thing in every frame: texts for zero-shot classification."""
        noun, adjective = WORDINGS[shape][0], WORDINGS[colour][0]
        feminine = noun in FEMININE_NOUNS
        thing = f"{'una' if feminine else 'un'} {noun} {_agreeing(adjective, feminine, False)}"
        return tuple(dict.fromkeys(frame.format(thing) for frame in FRAMES))


def _paragraph(said: Paragraph, words: Wording) -> str:
    listed, background = _listed(said.listing.mentions, words), _ground(said.background, words)
    count = len(said.listing.mentions)
    if count == 1:
        forms = (f"sobre {background} hay {listed}", f"la imagen muestra {listed} sobre {background}")
    else:
        things = _shapes(count)
        forms = (
            f"sobre {background} hay {things}: {listed}",
            f"la imagen muestra {things} sobre {background}: {listed}",
        )
    texts = [words.draws.pick(forms)]
    for link in said.related:
        by = f"{words(link.relation)} {_the(link.object, words)}".replace(" de el ", " del ")
        texts.append(f"{_the(link.subject, words)} está {by}")
    return sentences(texts)


def _related(said: Related, words: Wording) -> str:
    a, by, b = _a(said.subject, words), words(said.relation), _a(said.object, words)
    turned = f"{b} con {a} {TO_IT[said.relation]}"
    return words.draws.pick((f"{a} {by} {b}", f"{a} {by} {b}", f"{a} está {by} {b}", turned))


def _reworded(said: Listing | Related | Moving, words: Wording) -> str:
    """The other order of clauses, the relation from the other side, what one sees instead of what there is."""
    match said:
        case Listing(mentions):
            n = "" if len(mentions) == 1 else "n"
            frame = words.draws.pick(REFRAMES)
            return frame.format(_listed(mentions, words), ve=f"ve{n}", aparece=f"aparece{n}", puede=f"puede{n}")
        case Related(subject, name, object_):
            a, by, b = _a(subject, words), words(name), _a(object_, words)
            turned = f"{b} está {words(OPPOSITE[name])} {a}"
            return words.draws.pick(
                (f"{by} {b} hay {a}", f"se ve {a} {by} {b}", turned, f"{b} tiene {a} {TO_IT[name]}")
            )
        case Moving(mention, motion):
            a, moves = _a(mention, words), words.draws.pick(MOVES[motion])
            return words.draws.pick((f"se ve {a} que {moves}", f"lo que {moves} es {a}", f"hay {a} que {moves}"))


def _listed(mentions: Iterable[Mention], words: Wording) -> str:
    return joined([_placed(mention, count, words) for mention, count in grouped(mentions)], " y ")


def _placed(mention: Mention, count: int, words: Wording) -> str:
    phrase, place = _number(mention, count, words), mention.facts[-1]
    return phrase if place is None else f"{phrase} {words(place)}"


def _number(mention: Mention, count: int, words: Wording) -> str:
    """`un círculo rojo`, `dos círculos rojos`."""
    return _a(mention, words) if count == 1 else f"{NUMBERS[count]} {_noun(mention, words, plural=True)}"


def _terse(mention: Mention, count: int, words: Wording) -> str:
    return _noun(mention, words) if count == 1 else _number(mention, count, words)


def _a(mention: Mention, words: Wording) -> str:
    return f"{'una' if _feminine(mention, words) else 'un'} {_noun(mention, words)}"


def _the(mention: Mention, words: Wording) -> str:
    return f"{'la' if _feminine(mention, words) else 'el'} {_noun(mention, words)}"


def _noun(mention: Mention, words: Wording, plural: bool = False) -> str:
    """Noun and adjectives, without an article: the colour first, the texture last."""
    feminine, noun = _feminine(mention, words), words(mention.thing.shape)
    size, texture, colour = mention.facts[:3]
    adjectives = [_agreeing(words(fact), feminine, plural) for fact in (colour, size, texture) if fact is not None]
    return " ".join([_plural(noun) if plural else noun, *adjectives])


def _feminine(mention: Mention, words: Wording) -> bool:
    return words(mention.thing.shape) in FEMININE_NOUNS


def _agreeing(adjective: str, feminine: bool, plural: bool) -> str:
    """The form of an adjective; `a rayas` and some colours named after things have but one."""
    if adjective in INVARIABLE or " " in adjective:
        return adjective
    if feminine and adjective.endswith("o"):
        adjective = f"{adjective[:-1]}a"
    return _plural(adjective) if plural else adjective


def _plural(word: str) -> str:
    return PLURALS.get(word, f"{word}s" if word[-1] in "aeoí" else f"{word}es")


def _shapes(count: int) -> str:
    return "una figura" if count == 1 else f"{NUMBERS[count]} figuras"


def _ground(background: str, words: Wording) -> str:
    return f"un fondo {words(background)}"


SPANISH = Spanish()
