"""Several captions per scene, derived from its facts; at a stated rate some of them wrong."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from dovetail.contracts import Kind
from dovetail.data.records import Caption, DataError
from dovetail.data.worlds import statements
from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.english import ENGLISH
from dovetail.data.worlds.facts import Scene
from dovetail.data.worlds.statements import FULL, Mention, Statement

RELATIONS_TOLD = 2  # as captions of their own, at most


class Language(Protocol):
    """Puts statements, and single things, into words. `code` is its ISO 639-1 code."""

    @property
    def code(self) -> str: ...

    def say(self, statement: Statement, draws: Draws) -> str: ...

    def phrase(self, mention: Mention, draws: Draws) -> str: ...

    def prompts(self, colour: str, shape: str) -> tuple[str, ...]: ...


class Captions(NamedTuple):
    """A scene's captions, and which of them (by index) are wrong."""

    texts: tuple[Caption, ...]
    wrong: tuple[int, ...]


@dataclass(frozen=True)
class Telling:
    """How scenes are told. noise: the rate of captions with one attribute wrong.

    Raises DataError for a rate out of range.
    """

    noise: float = 0.0
    language: Language = ENGLISH

    def __post_init__(self) -> None:
        if not 0 <= self.noise <= 1:
            raise DataError(f"noise={self.noise}: expected a rate between 0 and 1")


def captions(scene: Scene, key: tuple[int, int], telling: Telling = Telling()) -> Captions:
    """Short (colour and shape of every thing), full (all attributes), relations or place, and a long paragraph.

    key: (seed, index) of the scene; it chooses the words.
    """
    language = telling.language
    said, texts, wrong = plan(scene, Draws("statements", *key)), [], []
    words, slips = Draws("words", language.code, *key), Draws("noise", *key)
    for index, (kind, statement) in enumerate(said):
        if slips.chance(telling.noise):
            statement = statements.mistaken(statement, scene, slips)
            wrong.append(index)
        texts.append(Caption(language.say(statement, words), kind, language.code))
    return Captions(tuple(texts), tuple(wrong))


def plan(scene: Scene, draws: Draws) -> list[tuple[Kind, Statement]]:
    """What the captions of a scene say, and of which kind each is."""
    said: list[tuple[Kind, Statement]] = [
        (Kind.RAW, statements.listing(scene, ("colour",), draws)),
        (Kind.RAW, statements.listing(scene, FULL, draws)),
    ]
    for relation in draws.shuffled(scene.relations)[:RELATIONS_TOLD]:
        said.append((Kind.RAW, statements.related(relation, draws)))
    if len(scene.things) == 1 and scene.things[0].place is not None:
        said.append((Kind.RAW, statements.listing(scene, ("colour", "place"), draws)))
    said.append((Kind.LONG, statements.paragraph(scene, draws)))
    return said
