"""Every question is read and answered anew, from the facts alone."""

import hashlib
import re
from collections import Counter

import pytest

from dovetail.data.records import DataError
from dovetail.data.worlds import Question, Sampler, Scene, Vocabulary, questions
from dovetail.data.worlds.tasks.questions import QUESTIONS
from tests.data import world_reader as reader

SAMPLERS = (Sampler(), Sampler((2, 6), alike=0.5))
CASES = [(s, q) for k, f in enumerate(SAMPLERS) for i in range(150) for s in [f(k, i)] for q in questions(s, (k, i))]
NP = f"({reader.NOUN_PHRASE})"
FORMS = {
    form: re.compile(pattern)
    for form, pattern in {
        "exist": rf"(?:Is there|Does the picture show) an? {NP}(?: in the picture)?\?",
        "count": rf"How many {NP} are there\?",
        "attribute": rf"What (shape|colour|size|texture) (?:is|does) the {NP}(?: have)?\?",
        "relation": rf"Is the {NP} ({reader.RELATION}) the {NP}\?",
        "size": rf"Is the {NP} (larger|smaller) than the {NP}\?",
        "more": rf"Are there more {NP} than {NP}\?",
        "same": rf"Do the {NP} and the {NP} have the same (colour|texture|size)\?",
    }.items()
}
RANKS = ("small", "medium", "large")


def read(text: str) -> tuple[str, tuple[str, ...]]:
    """The form of a question and what it speaks of. Fails where no form, or more than one, fits."""
    (found,) = [(form, match.groups()) for form, pattern in FORMS.items() if (match := pattern.fullmatch(text))]
    return found


def answer(scene: Scene, text: str) -> str:
    """The answer, computed from the facts. Fails where the question speaks of a thing that is not the only one."""
    form, words = read(text)
    if form in ("exist", "count", "more"):
        numbers = [len(reader.fitting(scene, reader.facts_of(noun))) for noun in words]
        return str(numbers[0]) if form == "count" else yes(numbers[0] > (numbers[1] if form == "more" else 0))
    if form == "attribute":
        assert words[0] not in reader.facts_of(words[1]), text
        return str(getattr(reader.only(scene, words[1]), words[0]))
    if form == "relation":
        a, b = reader.only(scene, words[0]), reader.only(scene, words[2])
        assert reader.holds(a, words[1], b) or reader.holds(b, words[1], a), f"{text} could be disputed"
        return yes(reader.holds(a, words[1], b))
    if form == "size":
        a, b = (RANKS.index(reader.only(scene, words[k]).size) for k in (0, 2))
        assert a != b, text
        return yes(a > b if words[1] == "larger" else a < b)
    a, b = reader.only(scene, words[0]), reader.only(scene, words[1])
    assert a is not b and words[2] not in reader.facts_of(words[0]) | reader.facts_of(words[1]), text
    return yes(getattr(a, words[2]) == getattr(b, words[2]))


def yes(true: bool) -> str:
    return "yes" if true else "no"


def test_answers_are_right() -> None:
    for scene, question in CASES:
        assert answer(scene, question.text) == question.answer, question
    assert {read(question.text)[0] for _, question in CASES} == set(FORMS)


def test_the_text_of_a_question_does_not_hold_its_answer() -> None:
    for _, question in CASES:
        assert question.answer not in question.text.lower().split(), question


def test_yes_and_no_are_as_frequent_in_every_form() -> None:
    answers = Counter((read(q.text)[0], q.answer) for _, q in CASES if q.answer in ("yes", "no"))
    for form in ("exist", "relation", "size", "more", "same"):
        said, total = answers[form, "yes"], answers[form, "yes"] + answers[form, "no"]
        assert total > 15
        assert abs(said / total - 0.5) < 1.6 / total**0.5, f"{said} of {total} {form}"  # more than 3 sigma


def test_answers_vary() -> None:
    seen = Counter((q.kind, q.answer) for _, q in CASES)
    counts = {answer for kind, answer in seen if kind == "count"}
    assert counts >= {"0", "1", "2", "3", "4", "5", "6"}
    assert seen["count", "0"] < 0.5 * sum(n for (kind, _), n in seen.items() if kind == "count")
    assert len({answer for kind, answer in seen if kind == "attribute"}) > 18


def test_kinds_do_not_depend_on_each_other() -> None:
    scene = Sampler((4, 4))(1, 1)
    asked = questions(scene, (1, 1))
    assert [q.kind for q in asked] == list(QUESTIONS)
    assert questions(scene, (1, 1), ("compare", "exist")) == (asked[4], asked[0])
    assert [q.kind for q in questions(Sampler((1, 1))(1, 1), (1, 1))] == ["exist", "count", "attribute"]
    assert isinstance(asked[0], Question)
    with pytest.raises(DataError, match="unknown kinds of questions: why; there are exist"):
        questions(scene, (1, 1), ("why",))


def test_a_vocabulary_bounds_what_is_asked_for() -> None:
    vocabulary = Vocabulary(shapes=("circle", "star"), colours=("red", "blue")).without("blue star")
    for index in range(60):
        for question in questions(Sampler((2, 3), vocabulary)(1, index), (1, index), vocabulary=vocabulary):
            assert not re.search(r"square|ring|green|blue star|heart|pink|moon", question.text), question


def test_texts_are_pinned() -> None:
    text = "\n".join(f"{q.text} {q.answer}" for _, q in CASES)
    assert hashlib.sha256(text.encode()).hexdigest() == GOLDEN


GOLDEN = "cb4d3fe2fc2cdf65ad1655fc62e57e40e1cca3373600e022c0abcce4c8c45671"
