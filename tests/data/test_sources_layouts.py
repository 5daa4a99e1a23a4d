"""Image folders, COCO and Karpathy files."""

import json
from pathlib import Path

import pytest

from dovetail.data.records import DataError
from dovetail.data.sources import Columns, open_source
from tests.data.files import json_lines, pictures, texts


def test_class_folders_become_labels(tmp_path: Path) -> None:
    pictures(tmp_path, "daisy/2.jpg", "daisy/1.JPG", "rose/deep/x.png", "top.webp", ".hidden/z.jpg", "rose/._3.jpg")
    (tmp_path / "rose" / "notes.md").touch()
    table = open_source(tmp_path)
    found = [(str(r.image.relative_to(tmp_path)), r.label, r.captions) for r in table]
    assert found == [
        ("daisy/1.JPG", "daisy", ()),
        ("daisy/2.jpg", "daisy", ()),
        ("rose/deep/x.png", "rose", ()),
        ("top.webp", None, ()),
    ]
    assert table[0].name == f"{tmp_path.name} picture 1 (daisy/1.JPG)"


def test_captions_beside_the_pictures(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg", "in/e.jpg")
    (tmp_path / "a.txt").write_text("one\n\ntwo\n")
    (tmp_path / "b.txt").write_text("  \n")
    (tmp_path / "c.txt").write_bytes(b"caf\xe9")
    (tmp_path / "in" / "e.txt").write_text("\ufeffthree")
    table = open_source(tmp_path)
    assert [texts(r) for r in table] == [["one", "two"], ["three"]]
    assert {cause: names[0].split(" ", 1)[1] for cause, names in table.problems.examples.items()} == {
        "empty caption": "picture 2 (b.jpg)",
        "caption is not UTF-8": "picture 3 (c.txt)",
        "no caption file": "picture 4 (d.jpg)",
        "image without a usable caption": "picture 2 (b.jpg)",
    }
    assert table.problems.counts["image without a usable caption"] == 3


def test_a_metadata_table_goes_before_everything(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg", "in/b.jpg")
    (tmp_path / "metadata.csv").write_text("file_name,text,year\na.jpg,one,1999\nin/b.jpg,two,2000\nc.jpg,three,2001\n")
    table = open_source(tmp_path)
    assert [(texts(r), r.extra) for r in table] == [(["one"], {"year": "1999"}), (["two"], {"year": "2000"})]
    assert table.problems.examples == {"missing image file": ["metadata.csv line 4 (c.jpg)"]}
    (tmp_path / "metadata.csv").unlink()
    json_lines(tmp_path / "metadata.jsonl", {"file_name": "a.jpg", "captions": ["x", "y"]})
    assert [texts(r) for r in open_source(tmp_path)] == [["x", "y"]]


def test_folders_that_hold_no_data_or_too_much(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no pictures \(\.avif, .*\) in it\.$"):
        open_source(tmp_path)
    (tmp_path / "00.tar").touch()
    with pytest.raises(DataError, match=r"It holds files in \.tar; name them, for example .*/\*\.tar"):
        open_source(tmp_path)
    pictures(tmp_path, "train/daisy/1.jpg", "val/daisy/2.jpg")
    with pytest.raises(DataError, match=r"holds the splits train, val\. Choose one: .*/val"):
        open_source(tmp_path)
    assert [r.label for r in open_source(tmp_path / "train")] == ["daisy"]


def coco(**changes: object) -> dict[str, object]:
    images = [
        {"id": 7, "file_name": "7.jpg", "height": 6},
        {"id": 8, "file_name": "8.jpg"},
        {"id": 9, "file_name": "9.jpg"},
    ]
    notes = [(8, "eight"), (7, "seven"), (8, "acht"), (5, "of nothing"), (7, None), (7, " ")]
    annotations = [{"image_id": i, "id": k, "caption": text} for k, (i, text) in enumerate(notes)]
    return {"info": {}, "images": images, "annotations": annotations, **changes}


@pytest.mark.parametrize(
    "place", ["annotations/val2017/", "annotations/images/", "val2017/", "images/", "images/val2017/"]
)
def test_coco_captions_with_the_pictures_where_people_put_them(tmp_path: Path, place: str) -> None:
    (tmp_path / "annotations").mkdir()
    path = tmp_path / "annotations" / "captions_val2017.json"
    path.write_text(json.dumps(coco()))
    pictures(tmp_path, f"{place}7.jpg", f"{place}8.jpg", f"{place}9.jpg")
    table = open_source(path)
    assert [(r.image.name, texts(r), r.extra) for r in table] == [
        ("7.jpg", ["seven"], {"id": 7, "height": 6}),
        ("8.jpg", ["eight", "acht"], {"id": 8}),
    ]
    assert table.problems.counts == {
        "image without a usable caption": 1,
        "no image": 1,
        "empty caption": 1,
        "caption is not text": 1,
    }
    assert table.problems.examples["no image"] == ["captions_val2017.json item 4"]


def test_coco_without_captions_is_refused(tmp_path: Path) -> None:
    pictures(tmp_path, "7.jpg")
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(coco(annotations=[{"image_id": 7, "bbox": [1, 2, 3, 4], "category_id": 1}])))
    with pytest.raises(DataError, match=r"instances\.json: .*1 x image without a usable caption"):
        open_source(path)


def test_karpathy_splits(tmp_path: Path) -> None:
    pictures(tmp_path, "val2014/a.jpg", "b.jpg", "c.jpg")
    images = [
        {
            "filepath": "val2014",
            "filename": "a.jpg",
            "imgid": 0,
            "split": "train",
            "sentences": [{"raw": "one", "tokens": ["one"]}, {"raw": "two"}],
        },
        {"filename": "b.jpg", "imgid": 1, "split": "restval", "sentences": [{"raw": "three"}], "cocoid": 4},
        {"filename": "c.jpg", "imgid": 2, "split": "test", "sentences": [{"raw": "four"}, {"tokens": ["five"]}]},
    ]
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps({"images": images, "dataset": "coco"}))
    assert [(texts(r), r.image) for r in open_source(f"{path}#train")] == [
        (["one", "two"], tmp_path / "val2014" / "a.jpg")
    ]
    assert [texts(r) for r in open_source(f"{path}#train+restval")] == [["one", "two"], ["three"]]
    assert open_source(f"{path}#restval")[0].extra == {"id": 1, "split": "restval", "cocoid": 4}
    test = open_source(f"{path}#test")
    assert texts(test[0]) == ["four"] and test.problems.counts == {"caption is not text": 1}
    with pytest.raises(DataError, match=r"`split` holds restval, test, train; choose"):
        open_source(path)


def test_karpathy_pictures_beside_or_in_images(tmp_path: Path) -> None:
    pictures(tmp_path, "images/a.jpg")
    path = tmp_path / "dataset_flickr8k.json"
    path.write_text(json.dumps({"images": [{"filename": "a.jpg", "split": "train", "sentences": [{"raw": "one"}]}]}))
    assert open_source(path)[0].image == tmp_path / "images" / "a.jpg"
    assert open_source(path, Columns(folder=tmp_path / "images"))[0].image == tmp_path / "images" / "a.jpg"


def test_json_items_that_are_no_objects_are_counted(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg")
    (tmp_path / "x.json").write_text(json.dumps([{"image": "a.jpg", "caption": "one"}, 3]))
    assert open_source(tmp_path / "x.json").problems.examples == {"item is not a JSON object": ["x.json item 2"]}
