"""A dialogue about a scene, as instruction-tuned models are trained on: turns of a user and an assistant."""

from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.facts import Scene
from dovetail.data.worlds.sampling import Vocabulary
from dovetail.data.worlds.tasks.questions import QUESTIONS, Question, questions
from dovetail.data.worlds.words import statements
from dovetail.data.worlds.words.english import ENGLISH

_REQUESTS = ("Describe the picture.", "What does the picture show?", "Tell me everything you see.")
_YES_NO = {"yes": "Yes.", "no": "No."}
_REPLIES = {"count": "I count {}.", "attribute": "It is {}."}


def dialogue(
    scene: Scene,
    key: tuple[int, int],
    kinds: tuple[str, ...] = QUESTIONS,
    vocabulary: Vocabulary = Vocabulary(),  # noqa: B008 (frozen)
) -> list[dict[str, str]]:
    """Turns `{"role": "user" | "assistant", "content": text}`: a description, and answers to a question of each kind.

    They alternate and begin with the user; the description comes first or last. All that the assistant says is true.
    key: (seed, index) of the scene. Raises DataError for an unknown kind of question.
    """
    draws = Draws("dialogue", *key)
    paragraph = statements.paragraph(scene, Draws("dialogue", "paragraph", *key))
    described = draws.pick(_REQUESTS), ENGLISH.say(paragraph, Draws("dialogue", "words", *key))
    asked = [(question.text, reply(question)) for question in draws.shuffled(questions(scene, key, kinds, vocabulary))]
    exchanges = [described, *asked] if draws.chance(0.5) else [*asked, described]
    return [
        {"role": role, "content": content}
        for exchange in exchanges
        for role, content in zip(("user", "assistant"), exchange, strict=True)
    ]


def reply(question: Question) -> str:
    """The answer as a sentence: `Yes.`, `I count 3.`, `It is red.`"""
    article = "a " if question.text.startswith("What shape") else ""
    if question.answer in _YES_NO:
        return _YES_NO[question.answer]
    return _REPLIES[question.kind].format(article + question.answer)
