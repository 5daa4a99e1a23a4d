"""The page of the comparison says what the result that is kept says."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.pages import script

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.fixture
def comparison() -> Iterator[ModuleType]:
    """The script beside the page that writes it."""
    with script("comparison") as found:
        yield found


def test_the_page_is_that_of_the_result(comparison: ModuleType) -> None:
    text = comparison.PAGE.read_text(encoding="utf-8")
    assert comparison.page(text) == text, "the page is stale: run `python docs/comparison.py` and commit docs"
    held = comparison.Comparison.read(comparison.RESULT)
    assert comparison.PICTURE.read_text(encoding="utf-8") == comparison.picture(held)
    assert [c.name for c in held.contenders] == [
        "clip",
        "siglip",
        "filip",
        "dreamlip",
        "flair",
        "sparc",
        "cloob",
        "meru",
    ]
    assert f"(images/{comparison.PICTURE.name})" in text


def test_the_words_before_the_report_are_those_of_the_result(comparison: ModuleType) -> None:
    words = " ".join(comparison.PAGE.read_text(encoding="utf-8").partition("<!--")[0].split())
    steps = {c.name: c.steps for c in comparison.Comparison.read(comparison.RESULT).contenders}
    assert f"teaches `clip` from {steps['clip']} steps" in words
    assert f"compared with every patch, from {steps['filip']}." in words
    assert f"and leave {steps['flair']} steps" in words
