"""Dialogues: their form, and the truth of what the assistant says."""

from dovetail.data.worlds import Sampler, dialogue
from dovetail.data.worlds.tasks.dialogue import reply
from dovetail.data.worlds.tasks.questions import Question
from tests.data import world_reader as reader
from tests.data.test_worlds_questions import answer

SCENES = [Sampler()(5, i) for i in range(60)]


def test_turns_alternate() -> None:
    for index, scene in enumerate(SCENES):
        turns = dialogue(scene, (5, index))
        assert [turn["role"] for turn in turns] == ["user", "assistant"] * (len(turns) // 2)
        assert len(turns) >= 8
        assert all(set(turn) == {"role", "content"} and turn["content"][-1] in ".?" for turn in turns)


def test_the_assistant_speaks_the_truth() -> None:
    first = 0
    for index, scene in enumerate(SCENES):
        turns = [turn["content"] for turn in dialogue(scene, (5, index))]
        described = 0
        for asked, said in zip(turns[::2], turns[1::2], strict=True):
            if asked.endswith("?") and asked != "What does the picture show?":
                assert said.lower().rstrip(".").split()[-1] == answer(scene, asked), (asked, said)
                continue
            listed = [(n, facts) for n, facts in reader.phrases(said.split(". ")[0]) if "shape" in facts]
            assert sum(n for n, _ in listed) == len(scene.things)
            assert all(len(reader.fitting(scene, facts)) >= n for n, facts in listed)
            described += 1
            first += said == turns[1]
        assert described == 1
    assert 0.25 < first / len(SCENES) < 0.75


def test_replies_are_sentences() -> None:
    assert reply(Question("exist", "Is there a ring?", "no")) == "No."
    assert reply(Question("count", "How many rings are there?", "3")) == "I count 3."
    assert reply(Question("attribute", "What colour is the ring?", "red")) == "It is red."
    assert reply(Question("attribute", "What shape is the red thing?", "ring")) == "It is a ring."


def test_kinds_of_questions_can_be_chosen() -> None:
    assert len(dialogue(SCENES[0], (5, 0), ("count",))) == 4
    assert dialogue(SCENES[0], (5, 0)) == dialogue(SCENES[0], (5, 0))
