"""Captions that count."""

import pytest

from dovetail.data.counting import boxes_of, counted
from dovetail.data.records import Region


@pytest.mark.parametrize(
    "text, number, noun",
    [
        ("three dogs in the yard", 3, "dogs"),
        ("Photo of Ten small light bulbs", 10, "bulbs"),
        ("two women", 2, "women"),
        ("a vase with five pink roses.", 5, "roses"),
    ],
)
def test_what_is_counted(text: str, number: int, noun: str) -> None:
    found = counted(text)
    assert found is not None and (found.number, found.noun) == (number, noun)


@pytest.mark.parametrize(
    "text",
    [
        "a dog",
        "one dog",
        "eleven dogs",
        "two dogs and three cats",
        "three hours of rain",
        "at ten, dogs bark",
        "the three-legged dogs",
        "ten o'clock",
        "two of a kind",
        "seven glass",
        "we are two very happy and quite old dogs",
    ],
)
def test_what_counts_nothing_for_certain(text: str) -> None:
    assert counted(text) is None


def test_another_number_is_said_the_same_way() -> None:
    found = counted("Three dogs")
    assert found is not None and [found.saying(n) for n in (2, 10)] == ["Two dogs", "Ten dogs"]


def test_boxes_of_a_noun_in_any_number() -> None:
    box = (0.0, 0.0, 1.0, 1.0)
    regions = [Region(box, p) for p in ("a brown dog", "Dogs", "a hot-dog", "a baby", "the woman")]
    assert [boxes_of(noun, regions) for noun in ("dogs", "babies", "women", "cats")] == [2, 1, 1, 0]
