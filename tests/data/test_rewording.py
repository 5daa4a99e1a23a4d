"""Words found in texts, and put in each other's place."""

import pytest

from dovetail.data.rewording import exchanged, named, others, spots, swapped
from dovetail.data.vocabulary import CONTRASTS


def test_finds_the_longest_phrases_of_the_kinds_asked_for() -> None:
    text = "A big Red dog to the left of the open door, on top  of a hill"
    assert [(s.word, s.sense.kind) for s in spots(text, CONTRASTS)] == [
        ("big", "size"),
        ("red", "colour"),
        ("dog", "thing"),
        ("to the left of", "relation"),
        ("open", "state"),
        ("on top of", "relation"),
    ]
    assert [text[s.start : s.end] for s in spots(text, ("colour", "relation"))] == [
        "Red",
        "to the left of",
        "on top  of",
    ]


@pytest.mark.parametrize("text", ["a red-haired reader", "the doghouse", "open_mouthed", "", "ein roter Hund"])
def test_parts_of_words_are_none(text: str) -> None:
    assert spots(text, CONTRASTS) == []


def test_others_exclude_the_word_and_what_is_said() -> None:
    (spot,) = spots("a kitten", CONTRASTS)
    assert others(spot)[:3] == ["dog", "horse", "cow"] and "cat" not in others(spot)
    assert others(spot, {"puppy"})[:2] == ["horse", "cow"], "a puppy is a dog"
    (spot,) = spots("two pups and foxes", CONTRASTS)
    assert others(spot)[:2] == ["dogs", "cats"]
    assert named(["A puppy", "to the LEFT of it"]) == {"puppy", "to the left of"}


@pytest.mark.parametrize(
    "text, old, new, wanted",
    [
        ("an orange cat", "orange", "red", "a red cat"),
        ("a red cat", "red", "orange", "an orange cat"),
        ("A dog runs", "dog", "elephant", "An elephant runs"),
        ("Dogs run", "Dogs", "cats", "Cats run"),
        ("TWO DOGS", "DOGS", "cats", "TWO CATS"),
        ("a  ripe pear", "ripe", "unripe", "an  unripe pear"),
        ("an old car", "old", "new", "a new car"),
        ("the banana stand", "stand", "umbrella", "the banana umbrella"),
        ("an apple", "apple", "unicorn", "a unicorn"),
        ("an apple", "apple", "one", "a one"),
        ("a day", "day", "hour", "an hour"),
    ],
)
def test_a_word_takes_anothers_place(text: str, old: str, new: str, wanted: str) -> None:
    start = text.index(old)
    assert exchanged(text, start, start + len(old), new) == wanted


@pytest.mark.parametrize(
    "text, first, second, wanted",
    [
        ("an apple on a table", "apple", "table", "a table on an apple"),
        ("Dogs chase cats", "Dogs", "cats", "Cats chase dogs"),
        ("a red ball, a blue cube", "red", "blue", "a blue ball, a red cube"),
    ],
)
def test_two_words_change_places(text: str, first: str, second: str, wanted: str) -> None:
    one, two = text.index(first), text.index(second)
    assert swapped(text, (one, one + len(first)), (two, two + len(second))) == wanted
