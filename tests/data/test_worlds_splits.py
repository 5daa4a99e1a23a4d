"""Splits: what differs between training and test, and nothing else; and that they share no scene."""

from collections import Counter
from dataclasses import fields

import pytest

from dovetail.data.records import DataError
from dovetail.data.worlds import SHIFTS, STYLES, World, split
from dovetail.data.worlds.facts import COLOURS, SHAPES
from dovetail.data.worlds.splits import HELD_OUT

DIFFERS = {
    "held-out combinations": {"sampler"},
    "long tail": {"sampler"},
    "textured style": {"style"},
    "solid style": {"style"},
    "viewpoints": {"sampler"},
    "crowded": {"sampler"},
    "rare words": {"telling"},
}


@pytest.mark.parametrize("name", SHIFTS)
def test_one_thing_differs_and_no_scene_is_shared(name: str) -> None:
    train, test = split(name, 30, 6, seed=4, size=32)
    assert (len(train), len(test)) == (30, 6)
    assert {train.scene(i).identity for i in range(30)}.isdisjoint(
        test.scene(i).identity for i in range(6)
    ) or name in (
        "long tail"  # there are few scenes of one thing
    )
    assert train.first + train.count == test.first and train.seed == test.seed == 4
    assert {f.name for f in fields(World) if getattr(train.world, f.name) != getattr(test.world, f.name)} == DIFFERS[
        name
    ]
    assert train[0].image.shape == test[0].image.shape == (32, 32, 3)
    assert SHIFTS[name].asks


def test_held_out_combinations_are_new_but_their_words_are_not() -> None:
    train, test = split("held-out combinations", 400, 60)
    seen = Counter(t.name for i in range(400) for t in train.scene(i).things)
    asked = {t.name for i in range(60) for t in test.scene(i).things}
    assert not set(seen) & set(HELD_OUT)
    assert asked == set(HELD_OUT)
    assert {word for name in seen for word in name.split()} == set(COLOURS) | set(SHAPES)
    assert {word for name in asked for word in name.split()} == set(COLOURS) | set(SHAPES)


def test_the_tail_is_long_in_training_only() -> None:
    train, test = split("long tail", 600, 600)
    often, evenly = (Counter(table.scene(i).things[0].name for i in range(600)) for table in (train, test))
    assert often.most_common(1)[0][1] > 150 > 10 * evenly.most_common(1)[0][1] / 2
    assert len(evenly) > len(often)


def test_styles_and_viewpoints() -> None:
    for name in ("textured", "solid"):
        train, test = split(f"{name} style", 2, 2, size=32)
        assert (train.world.style, test.world.style) == (STYLES["flat"], STYLES[name])
    train, test = split("viewpoints", 20, 40, size=32)
    assert {train.scene(i).viewpoint for i in range(20)} == {"front"}
    assert {test.scene(i).viewpoint for i in range(40)} == {"left", "right", "above", "below"}


def test_crowded() -> None:
    train, test = split("crowded", 30, 10)
    assert {len(train.scene(i).things) for i in range(30)} == {1, 2, 3, 4}
    assert all(6 <= len(test.scene(i).things) <= 10 for i in range(10))


def test_rare_words_are_rare_in_training_and_usual_in_the_test() -> None:
    train, test = split("rare words", 150, 50, size=16)
    rare = {"crimson", "tangerine", "golden", "emerald", "azure", "mauve", "rose", "chestnut"}
    shares = []
    for table in (train, test):
        texts = [set(record.captions[0].text.split()) for record in table]
        shares.append(sum(bool(words & rare) for words in texts) / len(texts))
    assert 0 < shares[0] < 0.15 and shares[1] > 0.9


def test_unknown() -> None:
    with pytest.raises(DataError, match="unknown split: hard; there are held-out combinations, long tail"):
        split("hard")
