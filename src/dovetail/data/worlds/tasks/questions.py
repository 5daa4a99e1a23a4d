"""Questions about a scene, in English, with answers that follow from its facts.

Yes and no are as frequent, and the form of a question does not give its answer away: the same scene has another of that
form with the other answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

from dovetail.data.records import DataError
from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.facts import OPPOSITE, SIZES, WORDS, Scene, Thing
from dovetail.data.worlds.sampling import Vocabulary
from dovetail.data.worlds.words.phrases import english_words, indefinite, noun, plural, singled_out
from dovetail.data.worlds.words.statements import Mention
from dovetail.data.worlds.words.truth import changed, fitting
from dovetail.data.worlds.words.wording import Wording

QUESTIONS = ("exist", "count", "attribute", "relation", "compare")

_ASKED = {
    "shape": "what shape is the {} thing?",
    "colour": "what colour is the {}?",
    "size": "what size is the {}?",
    "texture": "what texture does the {} have?",
}
_EXISTS = ("is there {}?", "is there {} in the picture?", "does the picture show {}?")


@dataclass(frozen=True)
class Question:
    """A question and its answer: `yes`, `no`, a number in digits, or a word of the facts (`red`, `medium`)."""

    kind: str  # one of QUESTIONS
    text: str
    answer: str


def questions(
    scene: Scene,
    key: tuple[int, int],
    kinds: tuple[str, ...] = QUESTIONS,
    vocabulary: Vocabulary = Vocabulary(),  # noqa: B008 (frozen)
) -> tuple[Question, ...]:
    """At most one question of each kind, in the order of `kinds`; a kind that the scene offers nothing for is left out.

    key: (seed, index) of the scene. vocabulary: things asked for in vain have its words. Raises DataError for an
    unknown kind.
    """
    if unknown := [kind for kind in kinds if kind not in QUESTIONS]:
        raise DataError(f"unknown kinds of questions: {', '.join(unknown)}; there are {', '.join(QUESTIONS)}")
    asked = []
    for kind in kinds:
        draws = Draws("questions", kind, *key)
        words = english_words(Draws("questions", "words", kind, *key))
        if found := _ASKERS[kind](scene, draws, words, vocabulary):
            text, answer = found
            asked.append(Question(kind, f"{text[0].upper()}{text[1:]}", answer))
    return tuple(asked)


Asked = tuple[str, str] | None
"""A question, without its capital, and its answer."""


def _exist(scene: Scene, draws: Draws, words: Wording, vocabulary: Vocabulary) -> Asked:
    told = frozenset(draws.pick(((), ("colour",), ("size", "colour"), ("texture", "colour"))))
    there = Mention(draws.pick(scene.things), told)
    text = draws.pick(_EXISTS)
    if draws.chance(0.5):
        return text.format(indefinite(noun(there, words))), "yes"
    missing = _near(scene, there, draws, vocabulary)
    return None if missing is None else (text.format(indefinite(noun(missing, words))), "no")


def _near(scene: Scene, there: Mention, draws: Draws, vocabulary: Vocabulary) -> Mention | None:
    """A mention that fits nothing, one word away from one that fits."""
    v = vocabulary
    words = {"shape": v.shapes, "colour": v.colours, "size": v.sizes, "texture": v.textures}
    choices = [(kind, word) for kind in words if kind in there.told | {"shape"} for word in words[kind]]
    for kind, word in draws.shuffled(choices):
        near = Mention(changed(there.thing, kind, word), there.told)
        if not fitting(scene, near) and near.thing.name in v.names:
            return near
    return None


def _count(scene: Scene, draws: Draws, words: Wording, vocabulary: Vocabulary) -> Asked:
    """Any number that can be asked for is as likely, 0 among them."""
    counts: dict[int, list[str]] = {len(scene.things): ["shapes"]}
    for shape in vocabulary.shapes:
        counts.setdefault(sum(t.shape == shape for t in scene.things), []).append(plural(words(shape)))
    for colour in vocabulary.colours:
        counts.setdefault(sum(t.colour == colour for t in scene.things), []).append(f"{words(colour)} shapes")
    for name in dict.fromkeys(thing.name for thing in scene.things):
        number = sum(t.name == name for t in scene.things)
        counts.setdefault(number, []).append(plural(" ".join(map(words, name.split()))))
    number = draws.pick(sorted(counts))
    return f"how many {draws.pick(counts[number])} are there?", str(number)


def _attribute(scene: Scene, draws: Draws, words: Wording, vocabulary: Vocabulary) -> Asked:
    for thing, kind in draws.shuffled([(thing, kind) for thing in scene.things for kind in WORDS]):
        if kind == "shape":
            alike = [t for t in scene.things if t.colour == thing.colour]
            name = words(thing.colour) if len(alike) == 1 else None
        else:
            mention = singled_out(thing, scene, untold=kind)
            name = None if mention is None else noun(mention, words)
        if name is not None:
            return _ASKED[kind].format(name), getattr(thing, kind)
    return None


def _relation(scene: Scene, draws: Draws, words: Wording, vocabulary: Vocabulary) -> Asked:
    """Of a relation that holds, or of its opposite."""
    for found in draws.shuffled(scene.relations):
        if pair := _both(found.subject, found.object, scene, words):
            first, second = pair
            true, told = draws.chance(0.5), found.name
            if draws.chance(0.5):
                first, second, told = second, first, OPPOSITE[told]
            return f"is {first} {words(told if true else OPPOSITE[told])} {second}?", "yes" if true else "no"
    return None


def _compare(scene: Scene, draws: Draws, words: Wording, vocabulary: Vocabulary) -> Asked:
    """Sizes, numbers, or whether two things have an attribute in common: where both answers are to be had."""
    answer = draws.pick(("yes", "no"))
    for ask in draws.shuffled((_larger, _more, _alike)):
        if options := ask(scene, words):
            return draws.pick(options[answer == "yes"]), answer
    return None


Options = tuple[list[str], list[str]] | None
"""Questions to which the answer is no, and those to which it is yes: some of both."""


def _larger(scene: Scene, words: Wording) -> Options:
    no, yes = [], []
    for a, b in combinations(sorted(scene.things, key=lambda t: SIZES.index(t.size)), 2):
        if a.size != b.size and (pair := _both(a, b, scene, words, untold="size")):
            small, large = pair
            yes += [f"is {large} larger than {small}?", f"is {small} smaller than {large}?"]
            no += [f"is {small} larger than {large}?", f"is {large} smaller than {small}?"]
    return (no, yes) if yes else None


def _more(scene: Scene, words: Wording) -> Options:
    no, yes = [], []
    shapes = [t.shape for t in scene.things]
    for a, b in combinations(sorted(set(shapes), key=lambda s: (shapes.count(s), s)), 2):
        if shapes.count(a) < shapes.count(b):
            yes.append(f"are there more {plural(words(b))} than {plural(words(a))}?")
            no.append(f"are there more {plural(words(a))} than {plural(words(b))}?")
    return (no, yes) if yes else None


def _alike(scene: Scene, words: Wording) -> Options:
    for kind in ("colour", "texture", "size"):
        no: list[str] = []
        yes: list[str] = []
        for a, b in combinations(scene.things, 2):
            if pair := _both(a, b, scene, words, untold=kind):
                text = f"do {pair[0]} and {pair[1]} have the same {kind}?"
                (yes if getattr(a, kind) == getattr(b, kind) else no).append(text)
        if no and yes:
            return no, yes
    return None


def _both(a: Thing, b: Thing, scene: Scene, words: Wording, untold: str = "") -> tuple[str, str] | None:
    """`the red circle` and `the star`, each fitting no other thing; None where one has no such name."""
    first, second = singled_out(a, scene, untold), singled_out(b, scene, untold)
    return None if first is None or second is None else (f"the {noun(first, words)}", f"the {noun(second, words)}")


_ASKERS: dict[str, Callable[[Scene, Draws, Wording, Vocabulary], Asked]] = {
    "exist": _exist,
    "count": _count,
    "attribute": _attribute,
    "relation": _relation,
    "compare": _compare,
}
