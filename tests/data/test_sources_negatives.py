"""Columns of captions that are false of the image."""

import json
from pathlib import Path

import pytest

from dovetail.contracts import Kind
from dovetail.data.records import Caption, DataError
from dovetail.data.sources import Columns, Stream, Table, open_source, stream_source
from tests.data.files import pictures


@pytest.fixture
def here(tmp_path: Path) -> Path:
    pictures(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    rows = [
        {"image": "a.jpg", "caption": ["a dog", "one dog"], "negatives": ["a cat", ""]},
        {"image": "b.jpg", "caption": "a bird"},
        {"image": "c.jpg", "caption": "", "negatives": "a fish"},
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


TOLD = [(Caption("a dog"), Caption("one dog"), Caption("a cat", Kind.NEGATIVE)), (Caption("a bird"),)]


def test_a_table(here: Path) -> None:
    table = open_source(here / "x.jsonl")
    assert isinstance(table, Table)
    assert [table[i].captions for i in range(len(table))] == TOLD
    assert dict(table.problems.counts)["image without a usable caption"] == 1, "a false caption is none"
    assert "negatives" not in table[0].extra


def test_a_stream(here: Path) -> None:
    stream = stream_source(here / "x.jsonl")
    assert isinstance(stream, Stream)
    assert [r.captions for unit in stream.units() for r in stream.read(unit)] == TOLD


def test_the_column_may_have_any_name(here: Path) -> None:
    (here / "y.csv").write_text("image,caption,wrong\na.jpg,a dog,a cat\n")
    table = open_source(here / "y.csv", Columns(negatives="wrong"))
    assert isinstance(table, Table)
    assert table[0].captions == (Caption("a dog"), Caption("a cat", Kind.NEGATIVE))
    with pytest.raises(DataError, match="no column 'lies' to take the negatives from"):
        open_source(here / "y.csv", Columns(negatives="lies"))
