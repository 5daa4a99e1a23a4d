"""The page on worlds: it names every knob with its default, its examples are current and its pictures exist."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from types import ModuleType

import pytest

from dovetail.data.worlds import (
    EDITS,
    QUESTIONS,
    SHIFTS,
    STYLES,
    Noise,
    Sampler,
    Scenes,
    Telling,
    Vocabulary,
    World,
)
from dovetail.data.worlds.facts import COLOURS, MOTIONS, SHAPES, SIZES, TEXTURES, VIEWPOINTS
from dovetail.data.worlds.sampling import MOST_OBJECTS
from dovetail.data.worlds.tasks.negatives import KINDS
from dovetail.data.worlds.tasks.referring import MANNERS
from dovetail.data.worlds.words.languages import LANGUAGES
from dovetail.data.worlds.words.noise import SORTS
from dovetail.data.worlds.words.plan import TELLS
from tests.pages import script

DOCS = Path(__file__).resolve().parents[1] / "docs"
TEXT = (DOCS / "worlds.md").read_text(encoding="utf-8")
IMAGES = sorted(set(re.findall(r"\((images/[^)]+)\)", TEXT)))
KNOBS = [(made, field) for made in (Scenes, World, Sampler, Vocabulary, Telling, Noise) for field in fields(made)]


@pytest.fixture(scope="module")
def texts() -> Iterator[ModuleType]:
    """The script beside the page that writes its examples."""
    with script("texts") as found:
        yield found


def section(made: type) -> str:
    """What the page says below the heading (or, for noise, the subheading) that starts with the class's name."""
    return re.split(
        r"^##+ ",
        TEXT.partition(f"# {made.__name__}\n")[2] or TEXT.partition(f"# {made.__name__}:")[2],
        maxsplit=1,
        flags=re.MULTILINE,
    )[0]


def default(field: Field) -> str:
    """A knob's default as the page has to show it; a dot stands for anything."""
    if field.default is MISSING:
        return r"[a-z ]+"
    if is_dataclass(field.default):
        return re.escape(f"`{type(field.default).__name__}()`")
    many = {SHAPES: "all eight", COLOURS: "all eight", SIZES: "all three", TEXTURES: "all four"}
    if field.name == "languages":
        return "English"
    return many.get(field.default, re.escape(f"`{field.default!r}`"))


@pytest.mark.parametrize(("made", "field"), KNOBS, ids=lambda x: getattr(x, "__name__", None) or x.name)
def test_every_knob_has_a_row_with_its_default(made: type, field: Field) -> None:
    assert re.search(rf"^\| `{field.name}` \| {default(field)} \| \S", section(made), re.MULTILINE)


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("## Styles", STYLES),
        ("## Telling", TELLS),
        ("### Languages", LANGUAGES),
        ("## Negatives", KINDS),
        ("## Edits", EDITS),
        ("### Motion", MOTIONS),
        ("## Questions", (*QUESTIONS, *MANNERS)),
        ("## Splits", SHIFTS),
    ],
)
def test_every_kind_is_named_under_its_heading(heading: str, names: Iterable[str]) -> None:
    said = TEXT.partition(f"\n{heading}")[2].partition("\n## ")[0]
    assert [name for name in names if f"`{name}`" not in said] == []


def test_every_part_of_a_record_is_named() -> None:
    record = Scenes(1)[0]
    assert [key for key in record.extra if f'| `extra["{key}"]` |' not in TEXT] == []


def test_numbers_in_words() -> None:
    assert f"up to {MOST_OBJECTS};" in TEXT
    assert (len(SHAPES), len(COLOURS), len(SIZES), len(TEXTURES)) == (8, 8, 3, 4)
    assert (len(VIEWPOINTS), len(MOTIONS)) == (5, 7)
    assert len(SHIFTS["held-out combinations"].train.sampler.vocabulary.held_out) == 8


def test_the_examples_are_what_the_code_gives(texts: ModuleType) -> None:
    changed = TEXT.replace("two red rings and a yellow star |", "two red rings |").replace("20000 2000", "20000")
    assert changed != TEXT
    assert texts.page(changed) == TEXT, "the page is stale: run `python docs/pictures.py` and commit docs"


def test_a_missing_marker_or_example_is_noticed(texts: ModuleType) -> None:
    with pytest.raises(ValueError, match="<!-- /captions -->"):
        texts.page(TEXT.replace("<!-- /captions -->", ""))
    with pytest.raises(ValueError, match="```python"):
        texts.page(TEXT.replace("```python", "```"))


def block(name: str) -> str:
    return TEXT.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0]


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("captions", TELLS),
        ("languages", LANGUAGES),
        ("noise", SORTS),
        ("negatives", KINDS),
        ("questions", QUESTIONS),
        ("splits", SHIFTS),
    ],
)
def test_every_kind_has_an_example(name: str, kinds: Iterable[str]) -> None:
    assert re.findall(r"^\| `([^`]+)` \| \S", block(name), re.MULTILINE) == list(kinds)
    assert "|  |" not in block(name)


def test_every_manner_of_referring_has_an_example() -> None:
    assert set(re.findall(r"`(\w+)`", block("referring"))) == set(MANNERS)


def test_the_splits_are_told_by_what_differs() -> None:
    rows = {line.split("`")[1]: line for line in block("splits").strip().splitlines()[2:]}
    assert rows["crowded"].endswith("| `objects=(1, 4)` | `objects=(6, 10)` |")
    assert rows["solid style"].endswith("| `style=Flat()` | `style=Solid()` |")


@pytest.mark.parametrize("name", IMAGES)
def test_its_pictures_exist_and_are_small(name: str) -> None:
    assert 0 < (DOCS / name).stat().st_size < (700_000 if name == "images/worlds.png" else 250_000)


def test_it_shows_every_picture_that_there_is() -> None:
    assert sorted(f"images/{path.name}" for path in (DOCS / "images").glob("worlds*.png")) == IMAGES
