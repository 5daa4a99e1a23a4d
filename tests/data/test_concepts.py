"""Which concepts captions name."""

import pickle

import pytest

from dovetail.data.concepts import Vocabulary, concepts, singular
from dovetail.data.records import DataError


def test_the_example() -> None:
    assert concepts("A boy in red boots beside two old buses.") == ["boy", "red", "boot", "old", "bus"]


def test_words_are_runs_of_letters() -> None:
    assert concepts("The dog's T-shirt, 3 men’s_hats & ÉTOILES!") == ["dog", "t-shirt", "man", "hat", "étoile"]
    assert concepts("quickly a butterfly; 12 x") == ["butterfly"]
    assert concepts("") == []


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        ("dogs", "dog"), ("boxes", "box"), ("churches", "church"), ("brushes", "brush"), ("glass", "glass"),
        ("dresses", "dress"), ("cities", "city"), ("potatoes", "potato"), ("shoes", "shoe"), ("leaves", "leaf"),
        ("gloves", "glove"), ("horses", "horse"), ("women", "woman"), ("bus", "bus"), ("tennis", "tennis"),
        ("series", "series"), ("ties", "tie"), ("houses", "house"), ("cat", "cat"), ("cactus", "cactus"),
    ],
)  # fmt: skip
def test_singular(plural: str, one: str) -> None:
    assert singular(plural) == one == singular(one)


def test_a_vocabulary_holds_what_is_frequent_enough() -> None:
    captions = ["a dog, a dog and a cat", "two dogs", "cats on the grass", "a dog on grass", "a zebra"]
    found = Vocabulary(captions, least=2)
    assert found.names == ("dog", "cat", "grass") and len(found) == 3, "by the captions they are in, then by name"
    assert Vocabulary(captions, least=2, most=1).names == ("dog",)
    assert Vocabulary(reversed(captions), least=2).names == found.names


def test_it_numbers_what_the_texts_of_an_image_name() -> None:
    found = Vocabulary(["dogs", "a dog", "a cat", "cats"], least=2)
    assert found.names == ("cat", "dog")
    assert found(["a zebra and a dog", "dogs with a cat"]) == [0, 1]
    assert found(["a zebra"]) == found([]) == []
    assert pickle.loads(pickle.dumps(found))(["one dog"]) == [1]


@pytest.mark.parametrize("captions", [[], ["of the"], ["a dog", "a cat"]])
def test_it_says_that_nothing_is_frequent_enough(captions: list[str]) -> None:
    with pytest.raises(DataError, match="no word is in 2 captions"):
        Vocabulary(captions, least=2)
