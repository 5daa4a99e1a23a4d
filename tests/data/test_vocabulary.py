"""The lists of words."""

import re

import pytest

from dovetail.data import vocabulary
from dovetail.data.vocabulary import CONTRASTS, FUNCTION_WORDS, NUMBERS, options, plural, senses


def test_every_contrast_has_options_that_share_no_word() -> None:
    for kind, contrasts in CONTRASTS.items():
        for line in contrasts:
            words = [word for option in line.split(" / ") for word in option.split(", ")]
            assert len(line.split(" / ")) > 1 and len(set(words)) == len(words), (kind, line)
            assert all(re.fullmatch(r"[a-z]+(-[a-z]+)?( [a-z]+)*", word) for word in words), (kind, line)


def test_no_word_has_two_senses() -> None:
    listed = [word for word, _ in vocabulary._listed()]
    assert len(set(listed)) == len(listed)
    assert not set(listed) & {*FUNCTION_WORDS, *NUMBERS}


def test_a_word_has_its_kind_and_form() -> None:
    found = senses()
    assert (found["dog"].kind, found["dog"].form, found["dogs"].form) == ("thing", "singular", "plural")
    assert (found["coffee"].form, "coffees" in found, found["large"].form) == ("", False, "")
    assert found["large"].option == found["big"].option != found["small"].option
    assert found["dog"].contrast != found["owl"].contrast, "a bird may be an owl"


def test_options_come_in_one_form() -> None:
    sense = senses()["woman"]
    assert options("thing", "plural", sense.contrast) == (("men",), ("women",), ("boys",), ("girls",), ("babies",))
    assert options("size", "", senses()["long"].contrast) == (("long",), ("short",))


@pytest.mark.parametrize(
    "one, many",
    [("dog", "dogs"), ("bus", "buses"), ("bench", "benches"), ("fox", "foxes"), ("baby", "babies"), ("boy", "boys"),
     ("knife", "knives"), ("tomato", "tomatoes"), ("mouse", "mice"), ("church", "churches"), ("bush", "bushes")],
)  # fmt: skip
def test_plurals(one: str, many: str) -> None:
    assert plural(one) == many
