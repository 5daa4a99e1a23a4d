"""Embedding a source part by part."""

import json
from pathlib import Path

import numpy as np
import pytest

from dovetail.data.records import Caption, DataError, Record
from dovetail.data.sources.table import RecordTable
from dovetail.evaluation.embed import embed
from dovetail.models.dual_encoder import DualEncoder
from tests import runs

PIXELS = np.random.default_rng(1).integers(0, 256, (10, 20, 24, 3), dtype=np.uint8)


def _records(missing: tuple[int, ...] = ()) -> list[Record]:
    """Pictures with none to two captions each."""
    return [
        Record(
            Path("nowhere.jpg") if i in missing else PIXELS[i],
            tuple(Caption(f"square {i}{j}") for j in range(i % 3)),
            f"record {i}",
            100 + i,
            label="odd" if i % 2 else None,
        )
        for i in range(10)
    ]


def _all(model: DualEncoder, records: list[Record], out: Path, part: int = 4) -> tuple[int, dict[str, int]]:
    done, problems = list(embed(model, RecordTable(records), out, 0, part))[-1]
    return done, dict(problems.counts)


def _files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.fixture(scope="module")
def model() -> DualEncoder:
    return runs.model().eval()


def test_rows_lines_and_captions_correspond(model: DualEncoder, tmp_path: Path) -> None:
    done, skipped = _all(model, _records(missing=(1, 5)), tmp_path)
    assert done == 10 and skipped == {"missing image": 2}
    seen = []
    for number in range(3):
        rows = [json.loads(line) for line in (tmp_path / f"records-{number:05d}.jsonl").read_text().splitlines()]
        images = np.load(tmp_path / f"images-{number:05d}.npy")
        texts = np.load(tmp_path / f"texts-{number:05d}.npy")
        assert images.dtype == texts.dtype == np.float32 and len(images) == len(rows)
        captions = [text for row in rows for text in row["captions"]]
        np.testing.assert_allclose(images, model.encode_image([PIXELS[row["id"] - 100] for row in rows]), atol=1e-5)
        np.testing.assert_allclose(texts, model.encode_text(captions), atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
        seen += rows
    kept = [r for i, r in enumerate(_records()) if i not in (1, 5)]
    assert [(r["name"], r["id"], r["label"]) for r in seen] == [(r.name, r.id, r.label) for r in kept]


def test_killed_and_continued_equals_never_killed(model: DualEncoder, tmp_path: Path) -> None:
    _all(model, _records(), tmp_path / "whole")
    running = embed(model, RecordTable(_records()), tmp_path / "parts", 0, 4)
    for _ in range(2):
        next(running)
    running.close()  # in the middle of the second part
    (tmp_path / "parts" / "images-00001.npy").write_bytes(b"half a file, whose part has no records yet")
    (tmp_path / "parts" / "records-00001.part").write_text("half")
    before = (tmp_path / "parts" / "images-00000.npy").stat().st_mtime_ns
    assert _all(model, _records(), tmp_path / "parts")[0] == 10
    assert _files(tmp_path / "parts") == _files(tmp_path / "whole")
    assert (tmp_path / "parts" / "images-00000.npy").stat().st_mtime_ns == before


def test_the_size_of_a_part_changes_nothing_but_the_files(model: DualEncoder, tmp_path: Path) -> None:
    for part in (3, 100):
        _all(model, _records(), tmp_path / str(part), part)
    for kind in ("images", "texts"):
        one, many = ([np.load(p) for p in sorted((tmp_path / name).glob(f"{kind}-*"))] for name in ("100", "3"))
        np.testing.assert_allclose(np.concatenate(one), np.concatenate(many), atol=1e-5)
        assert (len(one), len(many)) == (1, 4)


def test_a_part_of_broken_pictures_is_an_empty_part(model: DualEncoder, tmp_path: Path) -> None:
    _all(model, _records(missing=(0, 1, 2, 3)), tmp_path)
    assert np.load(tmp_path / "images-00000.npy").shape == np.load(tmp_path / "texts-00000.npy").shape == (0, 16)
    assert (tmp_path / "records-00000.jsonl").read_text() == ""


def test_records_of_the_same_name_keep_their_own_captions(model: DualEncoder, tmp_path: Path) -> None:
    """As two tables called data.csv in two folders give them."""
    records = [Record(PIXELS[i], (Caption(f"square {i}"),), "data.csv line 2 (a.jpg)", i) for i in range(2)]
    _all(model, records, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "records-00000.jsonl").read_text().splitlines()]
    assert [(row["id"], row["captions"]) for row in rows] == [(0, ["square 0"]), (1, ["square 1"])]


def test_nothing_to_embed(model: DualEncoder, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="records: "):
        _all(model, [], tmp_path)
