"""What texts about a scene are checked against: which things a mention fits, and what could be taken as true."""

from dataclasses import replace

from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.facts import WORDS, Scene, Thing
from dovetail.data.worlds.words.statements import Mention

_AXES = {"left of": (1, 0), "right of": (-1, 0), "above": (0, 1), "below": (0, -1)}  # from the subject to the object


class Steady(Draws):
    """Draws that answer the same question the same way, in whatever order they are asked.

    Two statements that a language puts into words with equal steady draws get the same wording: what differs between
    the texts is what differs between the statements.
    """

    def __init__(self, *key: int | str) -> None:
        super().__init__(*key)
        self._own = key

    def below(self, n: int) -> int:
        """An integer of 0..n-1, always the same for the same n."""
        return Draws(*self._own, n).below(n)


def changed(thing: Thing, kind: str, word: str) -> Thing:
    """The thing with another `shape`, `colour`, `size` or `texture`; its place and radius stay."""
    facts = {name: getattr(thing, name) for name in WORDS} | {kind: word}
    return replace(thing, shape=facts["shape"], colour=facts["colour"], size=facts["size"], texture=facts["texture"])


def fitting(scene: Scene, mention: Mention) -> list[Thing]:
    """The things of which all is true that the mention tells."""
    return [thing for thing in scene.things if Mention(thing, mention.told).facts == mention.facts]


def conceivable(scene: Scene, subject: Mention, name: str, other: Mention) -> bool:
    """Whether somebody might say that a thing fitting `subject` is `name` (`left of`, ...) one fitting `other`.

    Generous where `facts.relation` is strict: the least displacement in that direction will do.
    """
    across, down = _AXES[name]
    pairs = [(a, b) for a in fitting(scene, subject) for b in fitting(scene, other) if a is not b]
    return any(across * (b.x - a.x) + down * (b.y - a.y) > 0 for a, b in pairs)
