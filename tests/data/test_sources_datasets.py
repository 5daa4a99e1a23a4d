"""Parquet, hub ids, data set objects and lists from Python."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dovetail.data.records import Caption, DataError, Record
from dovetail.data.sources import Columns, Stream, Table, open_source, stream_source
from tests.data.files import everything, jpeg, pictures, texts

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def embedded() -> "datasets.Dataset":
    """Three rows, two images: the first and the last show the same."""
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "caption": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["cat", "dog"]),
        }
    )
    cells = {
        "image": [{"bytes": jpeg(s), "path": None} for s in (1, 2, 1)],
        "caption": ["one", "two", "uno"],
        "label": [0, 1, 0],
    }
    return datasets.Dataset.from_dict(cells, features=features)


def check_embedded(table: Table) -> None:
    assert isinstance(table, Table)
    assert [(r.image, texts(r), r.label) for r in table] == [
        (jpeg(1), ["one", "uno"], "cat"),
        (jpeg(2), ["two"], "dog"),
    ]
    assert not table.problems.counts


def test_parquet_with_pictures_in_it(tmp_path: Path) -> None:
    embedded().to_parquet(tmp_path / "x.parquet")
    check_embedded(open_source(tmp_path / "x.parquet"))
    embedded().cast_column("image", datasets.Image(decode=False)).to_parquet(tmp_path / "y.parquet")
    check_embedded(open_source(tmp_path / "y.parquet"))


def test_parquet_with_paths(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg", "b.jpg")
    cells = {
        "image": ["a.jpg", "b.jpg", "gone.jpg"],
        "captions": [["one", "two"], ["three", ""], ["x"]],
        "n": [1, 2, 3],
    }
    datasets.Dataset.from_dict(cells).to_parquet(tmp_path / "x.parquet")
    table = open_source(tmp_path / "x.parquet")
    assert [(r.image.name, texts(r), r.extra) for r in table] == [
        ("a.jpg", ["one", "two"], {"n": 1}),
        ("b.jpg", ["three"], {"n": 2}),
    ]
    assert table.problems.examples == {
        "missing image file": ["x.parquet row 3 (gone.jpg)"],
        "empty caption": ["x.parquet row 2 (b.jpg)"],
    }
    with pytest.raises(
        DataError, match=r"no column 'text' to take the captions from. Its columns are: image, captions, n"
    ):
        open_source(tmp_path / "x.parquet", Columns(captions="text"))


def test_parquet_streams_by_row_group(tmp_path: Path) -> None:
    embedded().to_parquet(tmp_path / "x.parquet", batch_size=1)
    stream = stream_source(tmp_path / "x.parquet")
    assert isinstance(stream, Stream)
    assert sorted((texts(r)[0], r.label, r.image) for r in everything(stream)) == [
        ("one", "cat", jpeg(1)),
        ("two", "dog", jpeg(2)),
        ("uno", "cat", jpeg(1)),
    ]


def test_broken_and_empty_parquet(tmp_path: Path) -> None:
    embedded().to_parquet(tmp_path / "x.parquet")
    (tmp_path / "x.parquet").write_bytes((tmp_path / "x.parquet").read_bytes()[:-20])
    for opened in (open_source, stream_source):
        with pytest.raises(DataError, match=r"x\.parquet: cannot be read as parquet: .*Parquet"):
            opened(tmp_path / "x.parquet")
    embedded().select([]).to_parquet(tmp_path / "y.parquet")
    with pytest.raises(DataError, match=r"y\.parquet: there is no data in it"):
        open_source(tmp_path / "y.parquet")


def test_objects_of_the_library(tmp_path: Path) -> None:
    check_embedded(open_source(embedded()))
    check_embedded(open_source(embedded().with_format("numpy")))
    check_embedded(open_source(datasets.DatasetDict(train=embedded())))
    with pytest.raises(DataError, match=r"the DatasetDict holds the splits train, test. Choose one"):
        open_source(datasets.DatasetDict(train=embedded(), test=embedded()))
    embedded().save_to_disk(tmp_path / "saved")
    check_embedded(open_source(tmp_path / "saved"))
    for stream in (open_source(embedded().to_iterable_dataset(2)), stream_source(embedded())):
        assert isinstance(stream, Stream)
        assert [(texts(r), r.label) for r in everything(stream)] == [
            (["one"], "cat"),
            (["two"], "dog"),
            (["uno"], "cat"),
        ]
    assert open_source(embedded().to_iterable_dataset(2)).units() == ["00000 dataset shard 0", "00001 dataset shard 1"]


def test_an_iterable_of_pictures_without_features() -> None:
    def rows():
        yield {"image": Image.new("RGB", (4, 4), 7), "text": "one"}
        yield {"image": None, "text": "two"}

    stream = open_source(datasets.IterableDataset.from_generator(rows))
    (record,) = everything(stream)
    assert record.image.getpixel((0, 0)) == (7, 0, 0) and stream.problems.counts == {"no image": 1}


def test_a_streamed_picture_in_an_archive(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.jpg", jpeg(9))
    cells = {"image": [f"zip://a.jpg::{tmp_path}/x.zip", f"zip://b.jpg::{tmp_path}/x.zip"], "caption": ["one", "two"]}
    dataset = datasets.Dataset.from_dict(cells).cast_column("image", datasets.Image()).to_iterable_dataset()
    stream = open_source(dataset)
    assert [r.image for r in everything(stream)] == [jpeg(9)] and stream.problems.counts == {"missing image file": 1}


def test_hub_ids_are_handed_to_the_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def load_dataset(*args, **options):
        asked.append((args, options))
        return embedded().to_iterable_dataset() if options["streaming"] else embedded()

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.chdir(tmp_path)
    check_embedded(open_source("owner/name"))
    check_embedded(open_source("hf:owner/name.v2:some-config#train+val"))
    assert len(everything(stream_source("owner/name#test"))) == 3
    assert asked == [
        (("owner/name", None), {"split": None, "streaming": False}),
        (("owner/name.v2", "some-config"), {"split": "train+val", "streaming": False}),
        (("owner/name", None), {"split": "test", "streaming": True}),
    ]
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *_, **__: datasets.DatasetDict(train=embedded(), test=embedded())
    )
    with pytest.raises(DataError, match=r"owner/name holds the splits train, test. Choose one: owner/name#train"):
        open_source("owner/name")


def test_a_hub_id_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        DataError, match=r"dovetail-nobody/nothing: no file or folder of that name is here, and the Hugging Face hub"
    ):
        open_source("dovetail-nobody/nothing")
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match=r"photos/trian: no such file or folder"):  # not a hub id: `photos` is here
        open_source("photos/trian")
    with pytest.raises(DataError, match=r"There is no folder other either"):
        open_source("other/train.jsonl")


def test_lists_of_mappings(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg")
    opened = Image.open(tmp_path / "a.jpg")
    array = np.zeros((4, 5, 3), np.uint8)
    rows = [
        {"image": str(tmp_path / "a.jpg"), "caption": "path", "thing": {1, 2}},
        {"image": opened, "caption": "file"},
        {"image": array, "caption": "array"},
        {"image": Image.new("L", (3, 3)), "caption": "picture"},
        {"image": jpeg(5), "caption": "bytes"},
        {"image": array.copy(), "caption": "again"},
        {"image": float("nan"), "caption": float("nan")},
        {"image": b"", "caption": "nothing"},
        "text",
    ]
    table = open_source(rows)
    assert [texts(r) for r in table] == [["path", "file"], ["array", "again"], ["picture"], ["bytes"]]
    assert table[0].image == tmp_path / "a.jpg" and table[0].extra == {"thing": ({1, 2}, None)}
    assert table[1].image is array and table[3].image == jpeg(5) and table[3].name == "list item 5"
    assert table.problems.counts == {"no image": 2, "item is not a mapping": 1}
    with pytest.raises(DataError, match=r"the list of items is empty"):
        open_source([])
    with pytest.raises(DataError, match=r"expected a list of mappings or of Records, not of int"):
        open_source([1])


def test_records_and_sources_pass_through() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, "PNG")
    record = Record(buffer.getvalue(), (Caption("x"),), "one", 1)
    table = open_source([record])
    assert isinstance(table, Table) and list(table) == [record]
    assert open_source(table) is table
