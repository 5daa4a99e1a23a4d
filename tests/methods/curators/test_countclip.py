"""CountCLIP: counterfactual numbers."""

from pathlib import Path

import pytest

from dovetail.contracts import Kind
from dovetail.data.records import Caption, Record, Region
from dovetail.data.vocabulary import NUMBERS
from dovetail.methods.curators.countclip import CountCLIP


def _false(text: str, curator: CountCLIP, number: int = 1, boxes: tuple[str, ...] = ()) -> list[str]:
    regions = tuple(Region((0.0, 0.0, 1.0, 1.0), phrase) for phrase in boxes)
    (found,) = curator([Record(Path("a.jpg"), (Caption(text),), "a", number, regions=regions)])
    assert all(c.kind == Kind.NEGATIVE for c in found.captions[1:])
    return [c.text for c in found.captions[1:]]


def test_every_other_number() -> None:
    found = _false("Three dogs play.", CountCLIP(100))
    assert sorted(found) == sorted(f"{n.capitalize()} dogs play." for n in NUMBERS if n != "three")
    assert _false("Three dogs play.", CountCLIP()) == found[:1], "one is drawn"


@pytest.mark.parametrize(
    "text", ["a dog", "one dog", "two dogs and three cats", "three hours", "ten o'clock", "eleven cups"]
)
def test_captions_that_count_nothing_for_certain_have_none(text: str) -> None:
    assert _false(text, CountCLIP(9)) == []


@pytest.mark.parametrize(
    "boxes, taken",
    [
        ((), True),
        (("a dog", "the black dog"), True),
        (("dogs", "a brown dog", "a tree"), True),
        (("a dog",), False),
        (("a dog", "a dog", "a dog"), False),
        (("a tree",), False),
    ],
)
def test_boxes_have_to_agree(boxes: tuple[str, ...], taken: bool) -> None:
    assert bool(_false("two dogs", CountCLIP(), boxes=boxes)) == taken


def test_each_number_is_as_likely() -> None:
    drawn = [_false("two dogs", CountCLIP(), number)[0].split()[0] for number in range(800)]
    counts = [drawn.count(n) for n in NUMBERS]
    assert counts[0] == 0 and all(70 < n < 130 for n in counts[1:])
    assert drawn != [_false("two dogs", CountCLIP(seed=1), number)[0].split()[0] for number in range(800)]
