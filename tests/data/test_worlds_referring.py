"""Every expression is held against every thing of its scene: it fits its own, and no other by any reading."""

import hashlib
import re
from collections import Counter

from dovetail.data.worlds import Sampler, Scene, Thing, referring, render
from dovetail.data.worlds.tasks.referring import MANNERS
from tests.data import world_reader as reader

SAMPLERS = (Sampler(), Sampler((3, 7), alike=0.5))
CASES = [(s, e) for k, f in enumerate(SAMPLERS) for i in range(100) for s in [f(k, i)] for e in referring(s, (k, i))]
NP = f"({reader.NOUN_PHRASE})"
RANKS = ("small", "medium", "large")


def fits(scene: Scene, text: str, thing: Thing, strictly: bool) -> bool:
    """Whether `text` could mean `thing`: beyond dispute, or by any reading."""
    others = [t for t in scene.things if t is not thing]
    if found := re.fullmatch(rf"the {NP}", text):
        return thing in reader.fitting(scene, reader.facts_of(found[1]))
    if found := re.fullmatch(rf"the {NP} ({reader.PLACE})", text):
        return thing in reader.fitting(scene, reader.facts_of(found[1])) and reader.lies(thing, found[2], strictly)
    if found := re.fullmatch(rf"the {NP} ({reader.RELATION}) the {NP}", text):
        anchor = reader.only(scene, found[3])
        along, _ = reader.displacement(thing, found[2], anchor)
        right = reader.holds(thing, found[2], anchor) if strictly else along > 0
        return thing in reader.fitting(scene, reader.facts_of(found[1])) and thing is not anchor and right
    found = re.fullmatch(r"the (leftmost|rightmost|topmost|lowest|largest|smallest) shape", text)
    assert found, text
    rank = {
        "leftmost": lambda t: -t.x,
        "rightmost": lambda t: t.x,
        "topmost": lambda t: -t.y,
        "lowest": lambda t: t.y,
        "largest": lambda t: RANKS.index(t.size),
        "smallest": lambda t: -RANKS.index(t.size),
    }[found[1]]
    return all(rank(thing) > rank(other) for other in others)


def test_each_fits_its_thing_and_no_other() -> None:
    for scene, expression in CASES:
        thing = scene.things[expression.thing]
        assert fits(scene, expression.text, thing, strictly=True), expression
        assert sum(fits(scene, expression.text, other, strictly=False) for other in scene.things) == 1, expression


def test_every_manner_and_wording_occurs() -> None:
    manners = Counter(expression.manner for _, expression in CASES)
    assert all(manners[manner] > 40 for manner in MANNERS)
    text = " ".join(expression.text for _, expression in CASES)
    words = ("leftmost rightmost topmost lowest largest smallest", "centre above below upper lower left right")
    for word in " ".join(words).split(" "):
        assert word in text, word


def test_things_alike_are_told_apart_by_place_or_relation() -> None:
    twins = tuple(Thing("ring", "red", "small", "plain", x, 800, 130) for x in (200, 800))
    star = Thing("star", "blue", "small", "plain", 500, 800, 130)
    found = referring(Scene((*twins, star), "white"), (0, 0))
    for index in range(2):
        assert {e.manner for e in found if e.thing == index} == {"place", "relation", "extreme"}


def test_the_index_is_that_of_the_box() -> None:
    scene = Sampler((4, 4))(0, 1)
    boxes = render(scene).boxes
    for expression in referring(scene, (0, 1)):
        left, top, right, bottom = boxes[expression.thing]
        thing = scene.things[expression.thing]
        assert left * 1000 < thing.x < right * 1000 and top * 1000 < thing.y < bottom * 1000


def test_it_is_the_same_every_time() -> None:
    scene = Sampler((4, 4))(0, 1)
    assert referring(scene, (0, 1)) == referring(scene, (0, 1))
    assert len({referring(scene, (0, k)) for k in range(20)}) > 5


def test_texts_are_pinned() -> None:
    text = "\n".join(f"{e.text} {e.thing}" for _, e in CASES)
    assert hashlib.sha256(text.encode()).hexdigest() == GOLDEN


GOLDEN = "e3c936fba5aaea2a84c22c31234406eea95f3b36587f9a71349c1922e3b91021"
