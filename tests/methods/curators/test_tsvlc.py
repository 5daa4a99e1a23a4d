"""TSVLC: rule-based negatives, sentence by sentence."""

from pathlib import Path

import pytest

from dovetail.catalogue import CatalogueError, build
from dovetail.contracts import Curator, Kind
from dovetail.data.records import Caption, Record, Region
from dovetail.methods.curators.tsvlc import TSVLC

ALL = 100


def _false(text: str, curator: TSVLC, **more: object) -> list[str]:
    record = Record(Path("a.jpg"), (Caption(text),), "a", 1, **more)  # type: ignore[arg-type]
    (found,) = curator([record])
    assert all(c.kind == Kind.NEGATIVE for c in found.captions[1:])
    return [c.text for c in found.captions[1:]]


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("a man to the left of a dog", {"a man to the right of a dog"}),
        ("An open door", {"A closed door"}),
        ("a big cup", {"a small cup", "a medium-sized cup"}),
        ("a dry towel beside the sink", {"a wet towel beside the sink", "a dry towel far from the sink"}),
        ("he is pushing a brick oven", {"he is pulling a brick oven", "he is pushing a marble oven"}),
        ("a blond girl, reading", {"a brunette girl, reading", "a blond girl, writing", "a blond girl, painting"}),
        ("the long road goes into a wood", {"the short road goes into a wood", "the long road goes out of a wood"}),
        ("a new and a modern car", {"an old and a modern car", "a new and an old car"}),
        ("a wet dog and a dry dog", set()),
        ("a dog", set()),
        ("", set()),
    ],
)
def test_all_that_it_makes(text: str, wanted: set[str]) -> None:
    found = _false(text, TSVLC(ALL))
    assert set(found) == wanted and len(found) == len(wanted)


def test_colours_exclude_what_is_there() -> None:
    found = _false("a red ball on a blue mat", TSVLC(ALL, ("colour",)))
    assert len(found) == 22 and "an orange ball on a blue mat" in found and "a red ball on an orange mat" in found
    assert not any(t.count("red") > 1 or t.count("blue") > 1 or "crimson" in t for t in found)


def test_what_else_is_true_of_the_image_is_not_put_in() -> None:
    box = (0.0, 0.0, 1.0, 1.0)
    assert _false("a big dog", TSVLC(ALL), regions=(Region(box, "the small dog"),)) == ["a medium-sized dog"]
    assert _false("an open book", TSVLC(ALL), label="closed") == []


def test_as_many_as_asked_for_the_same_for_a_seed() -> None:
    text = "a big red car in front of an old wooden house"
    first = _false(text, TSVLC(2))
    assert len(first) == 2 and _false(text, TSVLC(2)) == first and _false(text, TSVLC(1)) == first[:1]
    assert len({tuple(_false(text, TSVLC(2, seed=seed))) for seed in range(8)}) > 4
    assert _false(text, TSVLC(0)) == []


def test_kinds_are_drawn_before_words() -> None:
    """Of a caption with ten colours and one size, every second negative is about the size."""
    text = "red green blue yellow big"
    sizes = sum("big" not in _false(text, TSVLC(1, seed=seed))[0] for seed in range(400))
    assert 160 < sizes < 240


def test_other_kinds_of_words_on_demand() -> None:
    assert _false("a red cup", TSVLC(ALL, ("thing",)))[:1] != []
    with pytest.raises(CatalogueError, match="no kind of words is called colours; there are colour, "):
        build("tsvlc(kinds=['colours'])", Curator)
