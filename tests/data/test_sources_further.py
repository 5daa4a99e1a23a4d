"""Columns of long and of machine-written captions, of depth and of frames, in every format."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dovetail.contracts import Kind
from dovetail.data.images import decode
from dovetail.data.records import Caption, DataError
from dovetail.data.sources import Columns, Stream, Table, open_source, stream_source
from tests.data.files import pictures

TOLD = (
    Caption("a dog"),
    Caption("A dog. It runs.", Kind.LONG),
    Caption("dog on grass", Kind.SYNTHETIC),
    Caption("a running dog", Kind.SYNTHETIC),
    Caption("a cat", Kind.NEGATIVE),
)
ROW = {
    "image": "a.jpg",
    "caption": "a dog",
    "negatives": "a cat",
    "synthetic_captions": ["dog on grass", "a running dog"],
    "long_caption": "A dog. It runs.",
    "depth": "depth/a.png",
    "frames": ["f/1.jpg", "f/2.jpg"],
}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    pictures(tmp_path, "a.jpg", "b.jpg", "depth/a.png", "f/1.jpg", "f/2.jpg")
    return tmp_path


def check(source: Table | Stream, here: Path) -> None:
    found = (r for u in source.units() for r in source.read(u)) if isinstance(source, Stream) else iter([source[0]])
    record = next(found)
    assert record.captions == TOLD
    assert record.depth == here / "depth/a.png"
    assert record.video == (here / "f/1.jpg", here / "f/2.jpg")
    assert not record.extra and not source.problems.counts


@pytest.mark.parametrize("name", ["x.jsonl", "x.json"])
def test_json(here: Path, name: str) -> None:
    (here / name).write_text(json.dumps(ROW) + "\n" if name == "x.jsonl" else json.dumps([ROW]))
    source = open_source(here / name)
    assert isinstance(source, Table)
    check(source, here)
    if name == "x.jsonl":
        check(stream_source(here / name), here)


def test_csv_and_coco(here: Path) -> None:
    cells = {k: json.dumps(v) if isinstance(v, list) else v for k, v in ROW.items()}
    quoted = ['"' + str(v).replace('"', '""') + '"' for v in cells.values()]
    (here / "x.csv").write_text(",".join(cells) + "\n" + ",".join(quoted) + "\n")
    coco = {
        "images": [{**{k: v for k, v in ROW.items() if k not in ("image", "caption")}, "id": 7, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 7, "caption": "a dog"}],
    }
    (here / "coco.json").write_text(json.dumps(coco))
    source, other = open_source(here / "x.csv"), open_source(here / "coco.json")
    assert isinstance(source, Table) and isinstance(other, Table)
    check(source, here)
    assert other[0].captions == TOLD and other[0].depth == here / "depth/a.png" and len(other[0].video) == 2


def test_data_sets_and_lists_with_pictures_in_them(here: Path) -> None:
    datasets = pytest.importorskip("datasets")
    file = BytesIO()
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(file, "PNG")
    held = {"bytes": file.getvalue(), "path": None}
    rows = [{**ROW, "image": str(here / "a.jpg"), "depth": held, "frames": [held, held], "more": 3}]
    for spec in (rows, datasets.Dataset.from_list(rows)):
        source = open_source(spec)
        assert isinstance(source, Table)
        record = source[0]
        assert record.captions == TOLD and len(record.video) == 2 and record.depth is not None
        assert decode(record.depth).getpixel((1, 0)) == (1, 1, 1)
        assert {k: v for k, v in record.extra.items() if v is not None} == {"more": 3}


def test_a_folder_of_frames(here: Path) -> None:
    (here / "x.csv").write_text("image,caption,clip\na.jpg,a dog,f\nb.jpg,a cat,none\n")
    source = open_source(here / "x.csv", Columns(video="clip"))
    assert isinstance(source, Table)
    assert source[0].video == (here / "f/1.jpg", here / "f/2.jpg") and source[1].video == ()
    assert dict(source.problems.counts) == {"video: neither a list of frames nor a folder of them": 1}


def test_long_or_synthetic_captions_may_be_the_only_ones(here: Path) -> None:
    for column, kind in (("recaption", Kind.LONG), ("synthetic", Kind.SYNTHETIC)):
        (here / "x.csv").write_text(f"image,{column}\na.jpg,a dog\nb.jpg,\n")
        source = open_source(here / "x.csv")
        assert isinstance(source, Table)
        assert len(source) == 1 and source[0].captions == (Caption("a dog", kind),)
        assert dict(source.problems.counts) == {"image without a usable caption": 1}


def test_a_depth_that_is_none(here: Path) -> None:
    """A number under a guessed name is another depth; what is meant as a picture is counted when it is not there."""
    (here / "x.csv").write_text("image,caption,depth\na.jpg,a pearl,61.5\nb.jpg,a pool,depth/b.png\n")
    source = open_source(here / "x.csv")
    assert isinstance(source, Table)
    assert source[0].depth is None and source[0].extra == {"depth": "61.5"}
    assert source[1].depth is None and dict(source.problems.counts) == {"depth: missing image file": 1}
    with pytest.raises(DataError, match="no column 'z' to take the depth from"):
        open_source(here / "x.csv", Columns(depth="z"))


def test_rows_of_one_image_share_what_any_of_them_has(here: Path) -> None:
    (here / "x.csv").write_text("image,caption,depth\na.jpg,a dog,\na.jpg,one dog,depth/a.png\n")
    source = open_source(here / "x.csv")
    assert isinstance(source, Table)
    assert source[0].depth == here / "depth/a.png" and len(source[0].captions) == 2
