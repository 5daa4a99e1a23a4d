"""Records written as json lines, and read again."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dovetail.contracts import Kind
from dovetail.data.images import decode
from dovetail.data.records import Caption, DataError, Record, Region
from dovetail.data.sources import Table, open_source
from dovetail.data.sources.pictures import identity, number
from dovetail.data.sources.writing import write_records
from tests.data.files import jpeg, pictures


def _record(image: Path, *captions: Caption, **more: object) -> Record:
    return Record(image, captions, "x", identity(image), **more)  # type: ignore[arg-type]


def _again(path: Path) -> Table:
    table = open_source(path)
    assert isinstance(table, Table) and not table.problems.counts
    return table


def test_everything_comes_back(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg", "b.jpg", "depth.png", "0.jpg", "1.jpg")
    a = _record(
        tmp_path / "a.jpg",
        Caption("a dog"),
        Caption("[two] dogs"),
        Caption("A dog. It runs.", Kind.LONG),
        Caption("dogs", Kind.SYNTHETIC),
        Caption("a cat", Kind.NEGATIVE),
        label="dog",
        regions=(Region((0.0, 0.25, 0.5, 1.0), "a tail"),),
        depth=tmp_path / "depth.png",
        video=(tmp_path / "0.jpg", tmp_path / "1.jpg"),
        extra={"split": "train", "stars": 4},
    )
    b = replace(_record(tmp_path / "b.jpg", Caption("a bird"), extra={"split": "train"}), id=77)
    assert write_records([a, b], tmp_path / "x.jsonl") == 2
    table = _again(tmp_path / "x.jsonl")
    assert replace(table[0], name="x", extra=a.extra) == a
    assert {k: v for k, v in table[0].extra.items() if k != "id"} == a.extra
    assert table[1].captions == b.captions and table[1].id == number(str(tmp_path), "77")
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix != ".jpg") == ["depth.png", "x.jsonl"]


def test_captions_keep_their_languages(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg")
    said = (Caption("a dog", language="en"), Caption("ein Hund", language="de"), Caption("a cat", Kind.NEGATIVE, "en"))
    record = _record(tmp_path / "a.jpg", *said)
    write_records([record], tmp_path / "x.jsonl")
    assert _again(tmp_path / "x.jsonl")[0].captions == said


def test_what_only_later_rows_have_is_found(tmp_path: Path) -> None:
    """Columns are looked for in the first thousand rows."""
    names = [f"{i}.jpg" for i in range(1_002)]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    records = [_record(tmp_path / name, Caption("a dog")) for name in names[:-1]]
    last = _record(tmp_path / names[-1], Caption("a", Kind.SYNTHETIC), Caption("b", Kind.NEGATIVE), label="dog")
    write_records([*records, last], tmp_path / "x.jsonl")
    table = _again(tmp_path / "x.jsonl")
    assert table[1_001].captions == last.captions and table[1_001].label == "dog"
    assert table[0].captions == (Caption("a dog"),)


def test_paths_are_relative_below_the_table_only(tmp_path: Path) -> None:
    pictures(tmp_path, "data/a.jpg", "elsewhere/b.jpg")
    records = [_record(tmp_path / p, Caption("a dog")) for p in ("data/a.jpg", "elsewhere/b.jpg")]
    write_records(records, tmp_path / "data" / "new" / ".." / "x.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "data" / "x.jsonl").read_text().splitlines()]
    assert [row["image"] for row in rows] == ["a.jpg", str(tmp_path / "elsewhere/b.jpg")]
    assert not any("id" in row for row in rows)
    os.rename(tmp_path / "data", tmp_path / "moved")
    assert len(_again(tmp_path / "moved" / "x.jsonl")) == 2


def test_pictures_without_a_file_get_one(tmp_path: Path) -> None:
    shades = np.full((6, 8, 3), 90, np.uint8)
    images = [jpeg(40), Image.new("RGB", (8, 6), (1, 2, 3)), shades]
    records = [Record(image, (Caption("a dog"),), "x", identity(image)) for image in images]
    write_records(records, tmp_path / "x.jsonl")
    table = _again(tmp_path / "x.jsonl")
    assert sorted(p.name for p in (tmp_path / "x_images").iterdir()) == [
        "00000001.jpeg",
        "00000002.png",
        "00000003.png",
    ]
    assert (tmp_path / "x_images" / "00000001.jpeg").read_bytes() == jpeg(40)
    for i, image in enumerate(images):
        assert decode(table[i].image).tobytes() == decode(image).tobytes()


def test_columns_that_would_be_taken_for_others_are_left_out(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg")
    extra = {"Title": "no caption", "path": "b.jpg", "id": 3, "note": "kept", "tensor": object(), "nan": float("nan")}
    write_records([_record(tmp_path / "a.jpg", Caption("a dog"), extra=extra)], tmp_path / "x.jsonl")
    row = json.loads((tmp_path / "x.jsonl").read_text())
    assert row == {"image": "a.jpg", "captions": ["a dog"], "negatives": [], "note": "kept"}


@pytest.mark.parametrize("taken, there", [("x.jsonl", "x.jsonl"), ("x.jsonl", "x_images")])
def test_nothing_is_overwritten(tmp_path: Path, taken: str, there: str) -> None:
    pictures(tmp_path, "a.jpg")
    (tmp_path / there).write_text("mine")
    with pytest.raises(DataError, match=f"{there} exists already"):
        write_records([_record(tmp_path / "a.jpg")], tmp_path / taken)
    assert (tmp_path / there).read_text() == "mine"


def test_bad_calls_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="ends in .jsonl"):
        write_records([], tmp_path / "x.csv")
    with pytest.raises(DataError, match="no records to write"):
        write_records([], tmp_path / "x.jsonl")
    assert list(tmp_path.iterdir()) == []


def test_the_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg")

    def broken():  # type: ignore[no-untyped-def]
        yield _record(tmp_path / "a.jpg", Caption("a dog"))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records(broken(), tmp_path / "x.jsonl")
    assert not (tmp_path / "x.jsonl").exists()
    write_records([_record(tmp_path / "a.jpg", Caption("a dog"))], tmp_path / "x.jsonl")
    assert len(_again(tmp_path / "x.jsonl")) == 1
