"""Facts and how they are drawn: determinism, no overlaps, relations by definition, identities, what is held out."""

import hashlib
import json
from collections import Counter
from dataclasses import asdict, replace
from math import dist

import pytest

from dovetail.data.records import DataError
from dovetail.data.worlds import Sampler, Scene, Thing, Vocabulary
from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.facts import relation

SCENES = [Sampler()(0, i) for i in range(200)]


def thing(x: int, y: int, shape: str = "circle") -> Thing:
    return Thing(shape, "red", "small", "plain", x, y, 100)


def test_draws_are_pinned() -> None:
    draws = Draws("golden", 1)
    assert [draws.below(1000) for _ in range(20)] == GOLDEN_DRAWS


def test_draws_are_uniform_and_keyed() -> None:
    draws = Draws("a", 0)
    counts = Counter(draws.below(5) for _ in range(20_000))
    assert all(abs(counts[k] - 4000) < 4 * (20_000 * 0.2 * 0.8) ** 0.5 for k in range(5))
    assert [Draws("a", 0).below(100) for _ in range(5)] != [Draws("b", 0).below(100) for _ in range(5)]
    assert sorted(draws.shuffled(range(10))) == list(range(10))


def test_facts_are_pinned() -> None:
    text = json.dumps([asdict(s) for s in SCENES[:100]], sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == GOLDEN_FACTS


@pytest.mark.parametrize("objects", [(1, 1), (2, 4), (6, 6)])
def test_counts_overlaps_and_edges(objects: tuple[int, int]) -> None:
    scenes = [Sampler(objects)(3, i) for i in range(8 if objects == (6, 6) else 40)]
    assert {len(s.things) for s in scenes} == set(range(objects[0], objects[1] + 1))
    for scene in scenes:
        for i, a in enumerate(scene.things):
            assert a.radius <= a.x <= 1000 - a.radius
            assert a.radius <= a.y <= 1000 - a.radius
            for b in scene.things[:i]:
                assert dist((a.x, a.y), (b.x, b.y)) > a.radius + b.radius


def test_every_word_is_drawn_and_sizes_are_distinct() -> None:
    things = [t for s in SCENES for t in s.things]
    for kind, words in (("shape", 8), ("colour", 8), ("size", 3), ("texture", 4)):
        assert len({getattr(t, kind) for t in things}) == words
    radii = {size: [t.radius for t in things if t.size == size] for size in ("small", "medium", "large")}
    assert max(radii["small"]) * 1.2 < min(radii["medium"])
    assert max(radii["medium"]) * 1.2 < min(radii["large"])


def test_relation_needs_a_clear_axis() -> None:
    assert relation(thing(100, 500), thing(600, 500)) == "left of"
    assert relation(thing(600, 500), thing(100, 480)) == "right of"
    assert relation(thing(500, 100), thing(520, 600)) == "above"
    assert relation(thing(500, 600), thing(500, 100)) == "below"
    assert relation(thing(100, 100), thing(600, 600)) is None
    assert relation(thing(500, 500), thing(600, 500)) is None


def test_scenes_with_several_things_have_relations_and_they_hold() -> None:
    for scene in SCENES:
        assert scene.relations or len(scene.things) == 1
        for a, name, b in scene.relations:
            across, down = b.x - a.x, b.y - a.y
            assert (across >= 1.5 * abs(down)) if name == "left of" else (down >= 1.5 * abs(across))


@pytest.mark.parametrize(
    ("x", "y", "place"),
    [(200, 200, "upper left"), (500, 200, "top"), (800, 500, "right"), (500, 500, "centre"), (410, 200, None)],
)
def test_place(x: int, y: int, place: str | None) -> None:
    assert thing(x, y).place == place


def test_identity_is_what_captions_can_tell() -> None:
    a, b = thing(200, 200), thing(800, 200, "star")
    scene = Scene((a, b), "white")
    assert scene.identity == Scene((b, replace(a, x=210, y=190, radius=95, rotation=10)), "white").identity
    others = [
        Scene((a, b), "grey"),
        Scene((a,), "white"),
        Scene((replace(a, colour="blue"), b), "white"),
        Scene((replace(a, x=800), replace(b, x=200)), "white"),
        Scene((replace(a, texture="dotted"), b), "white"),
    ]
    identities = {s.identity for s in [scene, *others]}
    assert len(identities) == 6
    assert all(0 <= i < 2**63 for i in identities)


def test_held_out_combinations_never_appear_and_only_is_the_other_side() -> None:
    held_out = ("red circle", "blue star", "green ring")
    train, test = Vocabulary().without(*held_out), Vocabulary().only(*held_out)
    assert set(train.names) | set(test.names) == set(Vocabulary().names)
    assert not set(train.names) & set(test.names)
    seen = {t.name for i in range(150) for t in Sampler((1, 4), train)(0, i).things}
    assert seen == set(train.names)
    assert {t.name for i in range(30) for t in Sampler((1, 2), test)(0, i).things} == set(held_out)


def test_bad_knobs_say_what_is_expected() -> None:
    with pytest.raises(DataError, match="unknown colours: mauve; a world has red, orange"):
        Vocabulary(colours=("red", "mauve"))
    with pytest.raises(DataError, match="unknown held-out combinations: circle red"):
        Vocabulary().without("circle red")
    with pytest.raises(DataError, match="nothing is left"):
        Vocabulary(colours=("red",), shapes=("star",)).without("red star")
    with pytest.raises(DataError, match="1 <= least <= most <= 10"):
        Sampler((3, 2))


GOLDEN_DRAWS = [395, 499, 489, 857, 709, 673, 201, 25, 828, 404, 696, 576, 658, 891, 304, 139, 316, 172, 214, 576]
GOLDEN_FACTS = "848ea510c020fed3938c23116d9802b4c3e93f643df74ed66ea51a434287be1a"
