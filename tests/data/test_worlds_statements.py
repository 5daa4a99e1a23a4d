"""What is said follows from the facts, and what is mistaken contradicts them."""

from collections import Counter
from dataclasses import replace

import pytest

from dovetail.data.worlds import Sampler, Scene, Thing
from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.words.english import ENGLISH
from dovetail.data.worlds.words.mistakes import holds, mistaken, vague
from dovetail.data.worlds.words.plan import TELLS, THINGS_TOLD, plan
from dovetail.data.worlds.words.statements import (
    Absent,
    AltText,
    Counted,
    Listing,
    Mention,
    Moving,
    Parts,
    Related,
    Reworded,
    Seen,
    Summary,
    Vague,
    Written,
    unique_mention,
)
from tests.data.scenes import SCENES

RED_STAR = Thing("star", "red", "small", "plain", 200, 500, 130, motion="left")
BLUE_RING = Thing("ring", "blue", "large", "dotted", 700, 500, 240)
SCENE = Scene((RED_STAR, BLUE_RING), "grey", "stop", "above")
COLOUR = frozenset(("colour",))
STAR, RING = Mention(RED_STAR, COLOUR), Mention(BLUE_RING, COLOUR)
GREEN = Mention(replace(RED_STAR, colour="green"), COLOUR)


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        (Counted(STAR, 1), {"one red star", "there is one red star", "one red star can be seen"}),
        (Counted(STAR, 3), {"three red stars", "there are three red stars", "three red stars can be seen"}),
        (Absent(GREEN), {"no green star", "there is no green star", "no green star can be seen"}),
        (Summary(2, "white"), {"two shapes on a white background", "a picture of two shapes on a white background"}),
        (Parts(RED_STAR), {f"a red star {v} five points and a surface without a pattern" for v in ("has", "shows")}),
        (Moving(STAR, "growing"), {"a red star grows", "a red star is growing"}),
        (Written("stop"), {'the word "stop" is written at the bottom', '"stop" is written at the bottom'}),
        (Seen("below"), {"seen from below", "a view from below"}),
        (AltText((STAR, RING, STAR), "white"), {"two red stars, blue ring; white background"}),
        (Vague(2), {"a picture of some shapes", "some shapes"}),
        (Reworded(Moving(STAR, "left")), {
            "a red star is seen moving to the left",
            "one sees a red star moving to the left",
            "a red star is being moved to the left",
            "what moves to the left is a red star",
        }),
        (Reworded(Listing((STAR,))), {
            "the picture shows a red star",
            "a red star is shown in the picture",
            "what one sees is a red star",
            "a red star can be seen",
        }),
    ],
)  # fmt: skip
def test_english(statement: object, text: set[str]) -> None:
    assert {ENGLISH.say(statement, Draws("words", i)) for i in range(60)} == text


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (Counted(STAR, 1), True),
        (Counted(STAR, 2), False),
        (Absent(STAR), False),
        (Absent(GREEN), True),
        (Summary(2, "grey"), True),
        (Summary(2, "white"), False),
        (Summary(3, "grey"), False),
        (Parts(RED_STAR), True),
        (Parts(replace(RED_STAR, texture="striped")), False),
        (Moving(STAR, "left"), True),
        (Moving(STAR, "right"), False),
        (Moving(RING, "left"), False),
        (Written("stop"), True),
        (Written("exit"), False),
        (Seen("above"), True),
        (Seen("front"), False),
        (AltText((STAR, RING), "grey"), True),
        (AltText((STAR, RING), "black"), False),
        (Listing((STAR, STAR)), False),
        (Related(STAR, "left of", RING), True),
        (Related(STAR, "above", RING), False),
        (Related(RING, "left of", STAR), False),
        (Related(STAR, "left of", STAR), False),
        (Vague(2), True),
        (Vague(1), False),
    ],
)
def test_truth(statement: object, expected: bool) -> None:
    assert holds(statement, SCENE) == expected
    if isinstance(statement, Listing | Related | Moving):
        assert holds(Reworded(statement), SCENE) == expected


def test_plans_are_true_and_complete() -> None:
    kinds = Counter()
    for index, scene in enumerate(SCENES):
        said = plan(scene, (11, index), TELLS)
        assert all(holds(statement, scene) for _, statement in said)
        count = Counter(tell for tell, _ in said)
        assert count["objects"] == count["parts"] == min(len(scene.things), THINGS_TOLD)
        assert count["writing"] == (scene.writing is not None)
        assert count["moving"] == sum(t.motion is not None for t in scene.things)
        assert count["place"] == (len(scene.things) == 1 and scene.things[0].place is not None)
        kinds += count
    assert all(kinds[tell] for tell in TELLS)


def test_counts_are_often_of_several_things() -> None:
    scene = Scene((RED_STAR, replace(RED_STAR, x=800), replace(RED_STAR, y=800), BLUE_RING), "grey")
    counts = Counter(plan(scene, (0, i), ("counts",))[0][1].count for i in range(200))
    assert set(counts) == {1, 3}
    assert counts[3] > 100


def test_absent_things_are_near_misses() -> None:
    for i in range(20):
        absent = plan(SCENE, (0, i), ("counts",))[1][1]
        assert (absent.mention.thing.colour, absent.mention.thing.shape) in {("red", "ring"), ("blue", "star")}


@pytest.mark.parametrize("count", [1, 3, 10])
def test_mistakes_are_false_in_every_crowd(count: int) -> None:
    sampler = Sampler((count, count))
    for index in range(12):
        scene = sampler(5, index)
        scene = replace(scene, writing="stop", things=(replace(scene.things[0], motion="up"), *scene.things[1:]))
        for tell, statement in plan(scene, (5, index), TELLS):
            wrong = mistaken(statement, scene, Draws("noise", tell, index))
            assert not holds(wrong, scene), (statement, wrong)
            assert type(wrong) is type(statement)
            less = vague(statement, scene, Draws("vague", tell, index))
            assert holds(less, scene)
            assert isinstance(less, Vague) or all(not m.told for m in less.mentions)


def test_unique_mentions() -> None:
    assert unique_mention(RED_STAR, SCENE) == Mention(RED_STAR, frozenset())
    twins = Scene((RED_STAR, replace(RED_STAR, x=800)), "grey")
    assert unique_mention(RED_STAR, twins) is None
