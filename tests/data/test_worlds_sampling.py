"""The sampler's knobs: rates as stated, room for what is promised, and nothing else disturbed."""

from collections import Counter
from dataclasses import replace
from math import dist, sqrt

import pytest

from dovetail.data.records import DataError
from dovetail.data.worlds import Sampler, Scene, Vocabulary
from dovetail.data.worlds.facts import MOTIONS, VIEWPOINTS, Thing
from dovetail.data.worlds.pictures.lettering import STRIP, WORDS_WRITTEN

COUNT = 250


def scenes(sampler: Sampler, count: int = COUNT) -> list[Scene]:
    return [sampler(11, i) for i in range(count)]


def near(found: int, rate: float, trials: int) -> bool:
    """Within four standard deviations of a binomial count."""
    return abs(found - rate * trials) <= 4 * sqrt(trials * rate * (1 - rate))


def looks(scene: Scene) -> Counter:
    return Counter((t.shape, t.colour, t.size, t.texture) for t in scene.things)


def test_knobs_leave_the_rest_as_it_was() -> None:
    plain = scenes(Sampler(), 80)
    moving = scenes(Sampler(motion=1.0, viewpoints=("left", "above")), 80)
    for a, b in zip(plain, moving, strict=True):
        assert replace(b, viewpoint="front", things=tuple(replace(t, motion=None) for t in b.things)) == a
    for a, b in zip(plain, scenes(Sampler(writing=0.5), 80), strict=True):
        assert b == a or b.writing is not None


@pytest.mark.parametrize("rate", [0.3, 0.8])
def test_one_look_is_repeated_at_the_rate_of_alike(rate: float) -> None:
    found = [max(looks(s).values()) for s in scenes(Sampler((2, 3), alike=rate))]
    assert near(sum(n > 1 for n in found), rate, COUNT)
    assert set(found) == {1, 2, 3}
    for scene in scenes(Sampler((4, 4), alike=1.0), 40):
        assert sum(n > 1 for n in looks(scene).values()) == 1


def test_words_are_written_at_their_rate_above_which_nothing_lies() -> None:
    found = [s for s in scenes(Sampler((1, 3), writing=0.4), 600) if s.writing is not None]
    assert near(len(found), 0.4, 600)
    words = Counter(s.writing for s in found)
    assert set(words) == set(WORDS_WRITTEN)
    assert all(near(n, 1 / len(WORDS_WRITTEN), len(found)) for n in words.values())
    assert all(t.y + t.radius <= 1000 - STRIP for s in found for t in s.things)


def test_exactly_one_thing_moves_at_the_rate_of_motion() -> None:
    found = [[t for t in s.things if t.motion] for s in scenes(Sampler(motion=0.7))]
    assert {len(m) for m in found} == {0, 1}
    assert near(sum(map(len, found)), 0.7, COUNT)
    assert {t.motion for m in found for t in m} == set(MOTIONS)


def test_a_motion_has_room() -> None:
    """A least path, measured here: 120 units without leaving the picture or touching the circle around another."""
    ways = {"left": (-120, 0), "right": (120, 0), "up": (0, -120), "down": (0, 120)}
    for scene in scenes(Sampler((1, 4), motion=1.0, writing=0.5), 120):
        (moving,) = (t for t in scene.things if t.motion)
        if moving.motion in ways:
            across, down = ways[moving.motion]
            end = replace(moving, x=moving.x + across, y=moving.y + down)
        elif moving.motion == "growing":
            end = replace(moving, radius=moving.radius * 125 // 100)
        else:
            assert moving.motion == "shrinking" or moving.texture != "plain" or moving.shape not in ("circle", "ring")
            continue
        assert end.radius <= end.x <= 1000 - end.radius
        assert end.radius <= end.y <= (1000 if scene.writing is None else 1000 - STRIP) - end.radius
        assert all(apart(end, t) for t in scene.things if t is not moving)


def apart(a: Thing, b: Thing) -> bool:
    return dist((a.x, a.y), (b.x, b.y)) >= a.radius + b.radius - 1e-9


def test_viewpoints_are_drawn_evenly() -> None:
    found = Counter(s.viewpoint for s in scenes(Sampler(viewpoints=VIEWPOINTS)))
    assert all(near(found[v], 0.2, COUNT) for v in VIEWPOINTS)


@pytest.mark.parametrize("tail", [1.0, 1.8])
def test_a_tail_is_zipf(tail: float) -> None:
    vocabulary = Vocabulary()
    assert sorted(vocabulary.ranked) == sorted(vocabulary.names)
    found = Counter(t.name for s in scenes(Sampler((1, 1), tail=tail), 1500) for t in s.things)
    weights = [1 / rank**tail for rank in range(1, 65)]
    for name, weight in zip(vocabulary.ranked, weights, strict=True):
        assert near(found[name], weight / sum(weights), 1500)
    assert len({name.split()[0] for name in vocabulary.ranked[:8]}) > 3  # the head is not all of one colour


def test_ranks_do_not_depend_on_what_is_held_out() -> None:
    whole, part = Vocabulary(), Vocabulary().without("red circle", "blue star", "orange ring")
    assert part.ranked == tuple(n for n in whole.ranked if n in part.names)


def test_crowded_scenes() -> None:
    for scene in scenes(Sampler((10, 10), writing=0.5, alike=0.5), 8):
        assert len(scene.things) == 10
        assert scene.relations
        assert all(apart(a, b) for i, a in enumerate(scene.things) for b in scene.things[:i])


@pytest.mark.parametrize(
    ("knobs", "told"),
    [
        ({"alike": 1.5}, "alike=1.5: expected a rate between 0 and 1"),
        ({"writing": -0.1}, "writing=-0.1"),
        ({"motion": 2.0}, "motion=2.0"),
        ({"tail": -1.0}, "tail=-1.0: expected an exponent"),
        ({"viewpoints": ()}, "no viewpoints; expected at least one of front"),
        ({"viewpoints": ("behind",)}, "unknown viewpoints: behind; a world has front"),
        ({"objects": (1, 11)}, "most <= 10"),
    ],
)
def test_bad_knobs_say_what_is_expected(knobs: dict, told: str) -> None:
    with pytest.raises(DataError, match=told):
        Sampler(**knobs)
