"""English noun phrases that single a thing out, for instructions, questions and answers."""

from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.facts import Scene, Thing
from dovetail.data.worlds.words.english import RARE, WORDINGS
from dovetail.data.worlds.words.statements import Mention
from dovetail.data.worlds.words.truth import fitting
from dovetail.data.worlds.words.wording import Wording

_CHOICES = (
    frozenset[str](),
    frozenset(("colour",)),
    frozenset(("size",)),
    frozenset(("texture",)),
    frozenset(("size", "colour")),
    frozenset(("texture", "colour")),
    frozenset(("size", "texture")),
    frozenset(("size", "texture", "colour")),
)  # the shortest first


def english_words(draws: Draws) -> Wording:
    """The choice of words for one text."""
    return Wording(draws, WORDINGS, RARE, 0.0)


def noun(mention: Mention, words: Wording) -> str:
    """`small red circle`: what is told of a thing, without its place."""
    size, texture, colour, shape = mention.facts[:4]
    return " ".join(words(fact) for fact in (size, texture, colour, shape) if fact is not None)


def singled_out(thing: Thing, scene: Scene, untold: str = "") -> Mention | None:
    """The shortest mention that fits no other thing and does not tell `untold`; None where there is none."""
    for told in _CHOICES:
        mention = Mention(thing, told)
        if untold not in told and len(fitting(scene, mention)) == 1:
            return mention
    return None


def indefinite(noun: str) -> str:
    """`an orange star`."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def plural(noun: str) -> str:
    """`red crosses`."""
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"
