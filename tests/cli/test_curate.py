"""Curated data, by the command."""

import json
from pathlib import Path

import pytest

from dovetail.cli.main import main
from dovetail.contracts import Kind
from dovetail.data.sources import Table, open_source
from tests import runs
from tests.data.files import jpeg, shard

CAPTIONS = ["a red square", "a blue square", "two cats to the left of a dog", "nothing that is known"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    path = runs.photos(tmp_path, "photos", 16)
    runs.table(path, [(f"photos/{i}.jpg", CAPTIONS[i % 4]) for i in range(16)] + [("photos/gone.jpg", "a dog")])
    return path


def test_a_table_with_negatives_that_trains_as_it_is(
    photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    out = photos.with_name("negatives.jsonl")
    main(["curate", "tsvlc(count=2)", "--data", str(photos), "--out", str(out)])
    told = capsys.readouterr().err
    assert "skipped 1 x missing image file" in told and "16 records" in told
    assert "20 more negative captions; 12 records have one" in told and "written to" in told
    table = open_source(out)
    assert isinstance(table, Table) and len(table) == 16
    before = open_source(photos)
    assert isinstance(before, Table)
    for i in range(16):
        assert table[i].image == before[i].image and table[i].id == before[i].id
        assert table[i].captions[:1] == before[i].captions
        assert all(c.kind == Kind.NEGATIVE for c in table[i].captions[1:])
    assert [c.text for c in table[2].captions[1:]] == ["two cats to the right of a dog"]
    run = photos.with_name("run")
    options = [*runs.SMALL, "--steps", "2", "--workers", "0", "--settings.precision", "fp32"]
    main(["train", "--data", str(out), "--objective", "negclip", "--out", str(run), *options])
    assert (run / "model.safetensors").is_file()


def test_shards_become_a_table_and_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    members: dict[str, bytes | str] = {}
    for i in range(3):
        members |= {f"{i}.jpg": jpeg(10 * i), f"{i}.txt": "three red kites"}
    shard(tmp_path / "0.tar", members)
    main(["curate", "countclip", "--data", str(tmp_path / "0.tar"), "--out", str(tmp_path / "new" / "x.jsonl")])
    rows = [json.loads(line) for line in (tmp_path / "new" / "x.jsonl").read_text().splitlines()]
    assert [row["image"] for row in rows] == [f"x_images/0000000{i}.jpeg" for i in (1, 2, 3)]
    assert all(len(row["negatives"]) == 1 and row["negatives"][0].endswith(" red kites") for row in rows)
    assert "3 more negative captions" in capsys.readouterr().err


@pytest.mark.parametrize(
    "curator, out, told",
    [
        ("tsvlc", "photos.csv", "choose a name that ends in .jsonl"),
        ("tsvlc", "there.jsonl", "exists already; choose another --out"),
        ("tsvl", "x.jsonl", "did you mean tsvlc"),
        ("infonce", "x.jsonl", "no Curator is called 'infonce'"),
    ],
)
def test_a_mistake_is_explained(
    photos: Path, capsys: pytest.CaptureFixture[str], curator: str, out: str, told: str
) -> None:
    there = photos.with_name("there.jsonl")
    there.write_text("mine")
    with pytest.raises(SystemExit) as ended:
        main(["curate", curator, "--data", str(photos), "--out", str(photos.with_name(out))])
    assert ended.value.code == 2 and told in " ".join(capsys.readouterr().err.split())
    assert there.read_text() == "mine" and not photos.with_name("x.jsonl").exists()


def test_nothing_to_add_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = runs.photos(tmp_path, "photos", 2)
    runs.table(path, [("photos/0.jpg", "?"), ("photos/1.jpg", "!")])
    main(["curate", "clove", "--data", str(path), "--out", str(tmp_path / "x.jsonl")])
    assert "no caption was added or left out" in capsys.readouterr().err
