"""Captions of a scene, derived from its facts: of chosen kinds, in one or more languages, with noise if asked for."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from dovetail.contracts import Kind
from dovetail.data.records import Caption, DataError
from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.facts import Scene
from dovetail.data.worlds.sampling import Sampler
from dovetail.data.worlds.words.english import ENGLISH
from dovetail.data.worlds.words.noise import FALSE, Noise, SceneAt, noisy
from dovetail.data.worlds.words.plan import DEFAULT, TELLS
from dovetail.data.worlds.words.statements import Mention, Paragraph, Statement

_COPIES = {"missing": 0, "duplicated": 2}


class Language(Protocol):
    """Puts statements, and single things, into words. `code` is its ISO 639-1 code."""

    @property
    def code(self) -> str: ...

    def rarely(self, rate: float) -> "Language": ...

    def say(self, statement: Statement, draws: Draws) -> str: ...

    def phrase(self, mention: Mention, draws: Draws) -> str: ...

    def prompts(self, colour: str, shape: str) -> tuple[str, ...]: ...


class Captions(NamedTuple):
    """A scene's captions; which (by index) are false; what noise hit each (of SORTS), and its kind (of TELLS)."""

    texts: tuple[Caption, ...]
    wrong: tuple[int, ...]
    noise: tuple[str | None, ...]
    tells: tuple[str, ...]


@dataclass(frozen=True)
class Telling:
    """How scenes are told: each kind of caption of `tells` (out of TELLS), once in every language, with `noise`.

    rare: the rate at which a rare synonym is used for a word that has one (`crimson` for red). synthetic: those of
    `tells` that a captioner tells, of Kind.SYNTHETIC, which noise never hits. All languages say the same, mistakes
    included. Raises DataError for an unknown kind, one in `synthetic` that is not told, no language, and a rate out of
    range.
    """

    tells: tuple[str, ...] = DEFAULT
    noise: Noise = Noise()
    languages: tuple[Language, ...] = (ENGLISH,)
    rare: float = 0.0
    synthetic: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if unknown := [tell for tell in self.tells if tell not in TELLS]:
            raise DataError(f"unknown kinds of captions: {', '.join(unknown)}; there are {', '.join(TELLS)}")
        if untold := [tell for tell in self.synthetic if tell not in self.tells]:
            raise DataError(f"synthetic: {', '.join(untold)} not among the captions told, {', '.join(self.tells)}")
        if not self.languages:
            raise DataError("no languages; name at least one of dovetail.data.worlds.words.languages.LANGUAGES")
        if not 0 <= self.rare <= 1:
            raise DataError(f"rare={self.rare}: expected a rate between 0 and 1")

    @property
    def spoken(self) -> tuple[Language, ...]:
        """The languages, with rare words at the stated rate."""
        return tuple(language.rarely(self.rare) for language in self.languages) if self.rare else self.languages

    @property
    def language(self) -> Language:
        """The first of them: that of a scene's region phrases."""
        return self.spoken[0]


def captions(
    scene: Scene,
    key: tuple[int, int],
    telling: Telling = Telling(),
    others: SceneAt = Sampler(),  # noqa: B008 (frozen)
) -> Captions:
    """The captions of a scene, language by language, in the order of `telling.tells`; paragraphs are of kind LONG, and
    what `telling.synthetic` names of kind SYNTHETIC.

    key: (seed, index) of the scene; it chooses what is said and the words. others: where the scenes of swapped captions
    (noise) come from.
    """
    told = noisy(scene, key, telling.tells, telling.noise, others, telling.synthetic)
    found: list[tuple[Caption, str | None, str]] = []
    for language in telling.spoken:
        # The usual kinds share a stream of draws, as they always have; each of the others has its own.
        usual = Draws("words", language.code, *key)
        streams = {t: usual if t in DEFAULT else Draws("words", t, language.code, *key) for t in telling.tells}
        for tell, statement, noise in told:
            kind = Kind.LONG if isinstance(statement, Paragraph) else Kind.RAW
            kind = Kind.SYNTHETIC if tell in telling.synthetic else kind
            caption = Caption(language.say(statement, streams[tell]), kind, language.code)
            copies = _COPIES.get(noise or "", 1)
            found.extend((caption, noise if copy == copies - 1 else None, tell) for copy in range(copies))
    hits = tuple(noise for _, noise, _ in found)
    wrong = tuple(i for i, hit in enumerate(hits) if hit in FALSE)
    return Captions(tuple(caption for caption, _, _ in found), wrong, hits, tuple(tell for _, _, tell in found))
