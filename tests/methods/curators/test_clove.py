"""CLoVe: words replaced, and words that change places."""

from pathlib import Path

import pytest

from dovetail.data.records import Caption, Record
from dovetail.methods.curators.clove import CLoVe, pairs

ALL = 1_000


def _false(text: str, curator: CLoVe) -> list[str]:
    (found,) = curator([Record(Path("a.jpg"), (Caption(text),), "a", 1)])
    return [c.text for c in found.captions[1:]]


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("a dog", "a cat"),
        ("an old man", "an old woman"),
        ("two puppies under a table", "two cats under a table"),
        ("two puppies under a table", "two puppies on top of a table"),
        ("two puppies under a table", "two puppies under a bed"),
        ("a blue square", "a red square"),
        ("a cup of tea", "a cup of coffee"),
    ],
)
def test_replaces_things_and_what_is_said_of_them(text: str, wanted: str) -> None:
    found = _false(text, CLoVe(ALL))
    assert wanted in found and len(set(found)) == len(found)
    assert not {"a kitten", "two dogs under a table", "a puppy"} & set(found)


@pytest.mark.parametrize(
    "text, swaps",
    [
        ("a black dog and a white cat", {"a white dog and a black cat", "a black cat and a white dog"}),
        ("a dog chasing a cat", {"a cat chasing a dog"}),
        ("a dog and a cat", set()),
        ("a dog next to the cat", set()),
        ("a red ball and a red cup", set()),
        ("Two dogs and a cat", set()),
        ("an apple on a table", {"a table on an apple"}),
        ("dogs under chairs", {"chairs under dogs"}),
        ("a man sitting while a woman is standing", {
            "a man standing while a woman is sitting", "a woman sitting while a man is standing"}),
        ("a cyclist passes a dog", {"a dog passes a cyclist"}),
        ("firemen watch dogs", {"dogs watch firemen"}),
        ("a colourless cup in a famous town", {"a famous cup in a colourless town"}),
        ("a small red square above a large blue circle", {
            "a small red circle above a large blue square", "a large red square above a small blue circle",
            "a small blue square above a large red circle", "a small large square above a red blue circle",
            "a blue red square above a large small circle"}),
        ("no like words", set()),
    ],
)  # fmt: skip
def test_swaps_that_change_what_is_said(text: str, swaps: set[str]) -> None:
    found = _false(text, CLoVe(ALL, swap=1.0))
    assert set(found[: len(swaps)]) == swaps
    assert set(found[len(swaps) :]) == set(_false(text, CLoVe(ALL)))


def test_the_rate_of_swaps() -> None:
    text = "a black dog under a white cat"
    swapped = {"a white dog under a black cat", "a black cat under a white dog"}
    rates = [sum(_false(text, CLoVe(1, rate, seed))[0] in swapped for seed in range(200)) / 200 for rate in (0, 0.3, 1)]
    assert rates[0] == 0 and 0.2 < rates[1] < 0.4 and rates[2] == 1


def test_one_a_caption_the_same_for_a_seed() -> None:
    text = "a black dog under a white cat"
    assert len(_false(text, CLoVe())) == 1 and _false(text, CLoVe()) == _false(text, CLoVe())
    assert len({_false(text, CLoVe(seed=seed))[0] for seed in range(20)}) > 8


def test_pairs_stand_in_order() -> None:
    text = "a dog chasing a cat past a tree"
    assert [(text[a:b], text[c:d]) for (a, b), (c, d) in pairs(text)] == [
        ("dog", "cat"),
        ("dog", "tree"),
        ("cat", "tree"),
    ]
