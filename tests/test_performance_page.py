"""The page on performance says what the results say."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.pages import script

DOCS = Path(__file__).resolve().parents[1] / "docs"
TEXT = (DOCS / "performance.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tables() -> Iterator[ModuleType]:
    """The script beside the page that writes its tables."""
    with script("tables") as found:
        yield found


def test_the_tables_are_those_of_the_results(tables: ModuleType) -> None:
    assert tables.page(TEXT) == TEXT, "the page is stale: run `python docs/tables.py` and commit docs"


def test_a_result_that_changes_changes_the_page(tables: ModuleType, tmp_path: Path) -> None:
    row = {"model": "small", "batch": 8, "tokens": 12.25, "precision": "fp32"}
    measured = {**row, "mode": "eager", "dovetail images/s": 30.0, "open_clip images/s": 20.0}
    rows = [measured, {**row, "mode": "compiled", "reason": "no C++ compiler"}]
    found = {"device": "a machine", "torch": "2", "python": "3", "rows": rows}
    (tmp_path / "train_step_cpu.json").write_text(json.dumps(found), encoding="utf-8")
    text = tables.page(TEXT, tmp_path)
    assert "On a machine, torch 2, Python 3." in text
    assert "| small | 8 | 12.2 | fp32 | eager | 30.0 | 20.0 | 1.50 |" in text
    assert "| small | 8 | 12.2 | fp32 | compiled | not measured: no C++ compiler | | |" in text
    assert "`results/profile_cpu.json` does not exist" in text
    assert tables.page(text, tmp_path) == text


def test_a_missing_marker_is_noticed(tables: ModuleType) -> None:
    with pytest.raises(ValueError, match="<!-- /profile -->"):
        tables.page(TEXT.replace("<!-- /profile -->", ""))
