"""csv, tsv, json lines: what is read, what is guessed, what is counted and what is refused."""

import gzip
import json
import pickle
from pathlib import Path

import pytest

from dovetail.data.records import Caption, DataError, Region
from dovetail.data.sources import Columns, Stream, Table, open_source, stream_source
from tests.data.files import everything, jpeg, json_lines, pictures, texts


@pytest.fixture
def here(tmp_path: Path) -> Path:
    pictures(tmp_path, "a.jpg", "b.jpg", "sub/c.jpg")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", "filepath,title\na.jpg,one\nb.jpg,two\n"),
        ("x.csv", "\ufefffilepath;title\r\na.jpg;one\r\nb.jpg;two\r\n"),
        ("x.csv", "filepath\ttitle\na.jpg\tone\nb.jpg\ttwo\n"),  # as open_clip's csv files are
        ("x.tsv", "Image\tCaption\na.jpg\tone\n\nb.jpg\ttwo"),
        ("x.jsonl", '{"image": "a.jpg", "caption": "one"}\n\n{"image": "b.jpg", "caption": ["two"]}'),
        ("x.json", '[{"file_name": "a.jpg", "text": "one"}, {"file_name": "b.jpg", "text": "two"}]'),
        ("x.json", '{"version": 1, "data": [{"img": "a.jpg", "texts": ["one"]}, {"img": "b.jpg", "texts": ["two"]}]}'),
        ("x.json", '{"7": {"path": "a.jpg", "alt_text": "one"}, "9": {"path": "b.jpg", "alt_text": "two"}}'),
        ("x.json", '{"image": "a.jpg", "caption": "one"}\n{"image": "b.jpg", "caption": "two"}\n'),
        ("x", '{"image": "a.jpg", "caption": "one"}\n{"image": "b.jpg", "caption": "two"}\n'),
        ("x", "image,caption\na.jpg,one\nb.jpg,two\n"),
    ],
)
def test_the_same_two_records_from_every_format(here: Path, name: str, content: str) -> None:
    (here / name).write_text(content, encoding="utf-8")
    table = open_source(here / name)
    assert isinstance(table, Table) and not isinstance(table, Stream)
    assert [r.image for r in table] == [here / "a.jpg", here / "b.jpg"]
    assert [r.captions for r in table] == [(Caption("one"),), (Caption("two"),)]
    assert not table.problems.counts
    assert [r.id for r in table] == [r.id for r in open_source(str(here / name))]
    assert all(0 <= r.id < 2**63 for r in table) and table[0].id != table[1].id
    with pytest.raises(IndexError, match=r"there is no number 2"):
        table[2]
    assert table[-1].name == table[1].name


def test_text_formats_may_be_gzipped(here: Path) -> None:
    (here / "x.csv.gz").write_bytes(gzip.compress(b"image,caption\na.jpg,one\n"))
    (here / "x.jsonl.gz").write_bytes(gzip.compress(b'{"image": "b.jpg", "caption": "two"}\n'))
    (here / "x.json.gz").write_bytes(gzip.compress(b'[{"image": "b.jpg", "caption": "two"}]'))
    assert texts(open_source(here / "x.csv.gz")[0]) == ["one"]
    assert texts(open_source(here / "x.jsonl.gz")[0]) == ["two"] == texts(open_source(here / "x.json.gz")[0])


def test_a_cut_gzip_is_refused_with_the_line(here: Path) -> None:
    lines = "".join(json.dumps({"image": "a.jpg", "caption": str(i)}) + "\n" for i in range(3_000))
    (here / "x.jsonl.gz").write_bytes(gzip.compress(lines.encode())[:5_000])
    with pytest.raises(DataError, match=r"x\.jsonl\.gz: cannot be read past line \d+: Compressed file ended"):
        open_source(here / "x.jsonl.gz")


def test_rows_of_one_image_become_one_record_in_order_of_appearance(here: Path) -> None:
    rows = ["a.jpg,one,1", "b.jpg,two,2", "./a.jpg,three,1", "sub/../a.jpg,four,7"]
    (here / "x.csv").write_text("image,caption,who\n" + "\n".join(rows))
    table = open_source(here / "x.csv")
    assert [texts(r) for r in table] == [["one", "three", "four"], ["two"]]
    assert [r.extra for r in table] == [{"who": ("1", "1", "7")}, {"who": "2"}]
    assert table[0].name == "x.csv line 2 (a.jpg)"


def test_an_id_column_makes_two_images_the_same_thing(here: Path) -> None:
    path = json_lines(
        here / "x.jsonl",
        {"image": "a.jpg", "caption": "front", "id": 5, "sku": "s"},
        {"image": "b.jpg", "caption": "back", "id": 5, "sku": "t"},
        {"image": "sub/c.jpg", "caption": "other", "id": 6, "sku": "s"},
    )
    one, two, three = (r.id for r in open_source(path))
    assert one == two != three
    one, two, three = (r.id for r in open_source(path, Columns(id="sku")))
    assert one == three != two


def test_a_captions_cell_may_be_a_list_in_a_csv(here: Path) -> None:
    cells = ['"[""one"", ""two""]"', "\"['three', 'it\\'s four']\"", "[laughs] five", "[1]", "[2] six [7]"]
    (here / "x.csv").write_text("image,captions\n" + "\n".join(f"a.jpg,{c}" for c in cells))
    table = open_source(here / "x.csv")
    assert texts(table[0]) == ["one", "two", "three", "it's four", "[laughs] five", "[1]", "[2] six [7]"]


def test_several_caption_columns_and_languages(here: Path) -> None:
    row = {"image": "a.jpg", "captions": ["one"], "captions_zh": ["一"], "name": {"de": "eins", "fr": ["un", "une"]}}
    path = json_lines(here / "x.jsonl", row)
    assert open_source(path)[0].extra == {"captions_zh": ["一"], "name": row["name"]}
    assert open_source(path, Columns(captions="captions_zh"))[0].captions == (Caption("一", language="zh"),)
    both = open_source(path, Columns(captions=["captions", "name"]))[0].captions
    assert [(c.text, c.language) for c in both] == [("one", None), ("eins", "de"), ("un", "fr"), ("une", "fr")]
    path = json_lines(here / "y.jsonl", {"image": "a.jpg", "caption": "hola", "lang": "es"})
    assert open_source(path)[0].captions == (Caption("hola", language="es"),)


def test_labels_regions_and_everything_else(here: Path) -> None:
    regions = [{"box": [0, 0.25, 0.5, 1], "phrase": "a dog"}, {"box": [0.5, 0, 0.5, 1], "phrase": "no width"}]
    path = json_lines(
        here / "x.jsonl",
        {"image": "a.jpg", "caption": "x", "label": 3, "regions": regions, "w": [1, 2]},
        {"image": "b.jpg", "caption": "x", "label": None, "regions": [[1, 2]], "w": None},
    )
    table = open_source(path)
    assert [r.label for r in table] == ["3", None]
    assert table[0].regions == (Region((0.0, 0.25, 0.5, 1.0), "a dog"),)
    assert table[0].extra == {"w": [1, 2]} and table[1].extra == {"label": None, "regions": [[1, 2]], "w": None}
    assert table.problems.counts == {"broken region": 1}
    assert open_source(path, Columns(regions="regions")).problems.counts == {"broken region": 2}


def test_labels_without_captions_are_data_for_evaluation(here: Path) -> None:
    (here / "x.csv").write_text("image,label\na.jpg,cat\nb.jpg,dog\n")
    assert [(r.label, r.captions) for r in open_source(here / "x.csv")] == [("cat", ()), ("dog", ())]
    (here / "y.csv").write_text("image,nothing\na.jpg,cat\n")
    assert len(open_source(here / "y.csv", Columns(captions=()))) == 1


def test_rows_that_cannot_be_used_are_counted_by_cause_and_named(here: Path) -> None:
    path = json_lines(
        here / "x.jsonl",
        {"image": "a.jpg", "captions": ["good", "  ", 7, None, ["nested"], "\ud800", True]},
        {"image": "gone.jpg", "captions": ["x"]},
        "{broken",
        "[1, 2]",
        {"image": "https://example.org/a.jpg", "captions": ["x"]},
        {"captions": ["x"]},
        {"image": 3, "captions": ["x"]},
        {"image": "b.jpg", "captions": []},
        {"image": "sub/c.jpg", "captions": 1.5},
        {"image": "sub", "captions": "a folder"},
        {"image": "nul\0.jpg", "captions": "x"},
        {"image": "\ud800.jpg", "captions": "x"},
    )
    table = open_source(path)
    assert [texts(r) for r in table] == [["good"]]
    assert table.problems.counts == {
        "caption is not text": 6,
        "empty caption": 1,
        "missing image file": 4,
        "broken JSON line": 1,
        "line is not a JSON object": 1,
        "image is a URL, which is not downloaded": 1,
        "no image": 1,
        "image value is not a picture": 1,
        "image without a usable caption": 2,
    }
    assert table.problems.examples["broken JSON line"] == ["x.jsonl line 3"]
    assert table.problems.examples["missing image file"][0] == "x.jsonl line 2 (gone.jpg)"
    assert table.problems.examples["empty caption"] == ["x.jsonl line 1 (a.jpg)"]
    assert table.problems.examples["image without a usable caption"][0] == "x.jsonl line 8 (b.jpg)"


def test_csv_rows_with_the_wrong_number_of_fields(here: Path) -> None:
    (here / "x.csv").write_text('image,caption\na.jpg,one,more\nb.jpg\n"a.jpg","two\nlines, and commas"\nb.jpg,\n')
    table = open_source(here / "x.csv")
    assert [texts(r) for r in table] == [["two\nlines, and commas"]]
    assert table.problems.examples["wrong number of fields"] == ["x.csv line 2", "x.csv line 3"]
    assert table.problems.examples["empty caption"] == ["x.csv line 6 (b.jpg)"]


def test_quotes_in_a_tsv_never_swallow_lines(here: Path) -> None:
    (here / "x.tsv").write_text('image\tcaption\na.jpg\t"open\nb.jpg\t"a ""quoted"" one"\nsub/c.jpg\tsays "hi"\n')
    assert [texts(r) for r in open_source(here / "x.tsv")] == [['"open'], ['a "quoted" one'], ['says "hi"']]


def test_a_huge_csv_field_is_counted_and_reading_goes_on(here: Path) -> None:
    (here / "x.csv").write_text(
        "image,caption\na.jpg,one\nb.jpg," + "y" * 200_000 + "\nsub/c.jpg," + "z" * 10_000 + "\n"
    )
    table = open_source(here / "x.csv")
    assert [len(texts(r)[0]) for r in table] == [3, 10_000]
    assert table.problems.examples == {"broken csv line": ["x.csv line 3"]}


def test_a_wrong_column_lists_the_columns_and_the_guesses(here: Path) -> None:
    (here / "x.csv").write_text("filepath,title,label\na.jpg,one,cat\n")
    with pytest.raises(DataError) as error:
        open_source(here / "x.csv", Columns(captions="caption"))
    assert str(error.value) == (
        f"{here / 'x.csv'}: no column 'caption' to take the captions from. Its columns are: filepath, title, label. "
        "Guessed: image from 'filepath', label from 'label'. Say which column holds what."
    )
    (here / "y.csv").write_text("bild,beschreibung\na.jpg,eins\n")
    with pytest.raises(
        DataError, match=r"no image column \(looked for image, .*\) and no captions column .* bild, besch"
    ):
        open_source(here / "y.csv")
    assert texts(open_source(here / "y.csv", Columns("bild", "beschreibung"))[0]) == ["eins"]


def test_a_named_column_may_first_appear_late(here: Path) -> None:
    rows = [{"image": "a.jpg", "caption": str(i)} for i in range(1001)]
    path = json_lines(here / "x.jsonl", *rows, {"image": "b.jpg", "caption": "z", "regions": []}, "broken")
    table = open_source(path, Columns(regions="regions"))
    assert len(table) == 2 and len(table[0].captions) == 1001 and table.problems.counts == {"broken JSON line": 1}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"", r"x\.csv: there is no data in it"),
        ("x.csv", b"image,caption\n", r"x\.csv: there is no data in it"),
        ("x.jsonl", b"\n\n", r"x\.jsonl: there is no data in it"),
        ("x.json", b"", r"x\.json: there is no data in it"),
        ("x.json", b"[]", r"x\.json: there is no data in it"),
        ("x.json", b'{"a": [', r"x\.json: not valid JSON: .*line 1"),
        ("x.json", b'"text"', r"x\.json: expected a list of objects"),
        ("x.csv", b"image,caption\na.jpg,one\nb.jpg,caf\xe9\n", r"x\.csv line 3: the bytes are not UTF-8.*iconv"),
        ("x.jsonl", b'\xff\xfe{"a"', r"x\.jsonl line 1: the bytes are not UTF-8"),
        ("x.csv", b"image,caption,image\na.jpg,one,b.jpg\n", "the same column more than once: image"),
        (
            "x.csv",
            b"image,caption\na.jpg,\nb.jpg,\n",
            r"nothing in it can be used: 2 x empty caption, e\.g\. x\.csv line 2",
        ),
        (
            "x.csv",
            b"image,caption\nz.jpg,one\n",
            r"1 x missing image file, e\.g\. x\.csv line 2 \(z\.jpg\).*set `folder`",
        ),
        ("x.csv", b"image,caption\nhttp://x/z.jpg,one\n", r"1 x image is a URL.*Download the images first"),
        ("x.csv", b"image,caption\na.jpg,1,2\n", r"nothing in it can be used: 1 x wrong number of fields"),
        ("x.bin", b"\0\1\2", r"x\.bin: neither its name nor its content"),
    ],
)
def test_what_cannot_be_used_at_all_is_refused(here: Path, name: str, content: bytes, message: str) -> None:
    (here / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_source(here / name)


def test_missing_places_are_refused_with_the_nearest_names(here: Path) -> None:
    (here / "train.jsonl").touch()
    with pytest.raises(DataError, match=r"trian\.jsonl: no such file or folder\. Did you mean .*train\.jsonl\?"):
        open_source(here / "trian.jsonl")
    with pytest.raises(DataError, match=r"There is no folder .*nowhere either"):
        open_source(here / "nowhere" / "x.csv")
    with pytest.raises(DataError, match=r"a int is no data: expected a path"):
        open_source(3)
    with pytest.raises(DataError, match=r"the empty text: no such file"):
        open_source("")


def test_an_unreadable_file_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (here / "x.csv").write_text("image,caption\na.jpg,one\n")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"x\.csv: cannot be read: Permission denied"):
        open_source(here / "x.csv")


def test_several_files_braces_and_patterns(here: Path) -> None:
    for i, name in enumerate(("a.jpg", "b.jpg", "sub/c.jpg")):
        json_lines(here / f"p{i:02d}.jsonl", {"image": name, "caption": str(i)})
    for spec in (f"{here}/p{{00..02}}.jsonl", f"{here}/p*.jsonl", f"{here}/p00.jsonl::{here}/p{{01,02}}.jsonl"):
        assert [texts(r)[0] for r in open_source(spec)] == ["0", "1", "2"]
    assert [r.name for r in open_source(f"{here}/p*.jsonl")][2] == "p02.jsonl line 1 (sub/c.jpg)"
    (here / "x.csv").write_text("image,caption\na.jpg,one\n")
    with pytest.raises(DataError, match=r"mixes formats: p00\.jsonl \(jsonl\), x\.csv \(csv\)"):
        open_source(f"{here}/p00.jsonl::{here}/x.csv")
    with pytest.raises(DataError, match=r"p03\.jsonl: no such file"):
        open_source(f"{here}/p{{00..03}}.jsonl")


def test_a_split_column_must_be_chosen_from(here: Path) -> None:
    (here / "x.csv").write_text("image,caption,split\na.jpg,one,train\nb.jpg,two,test\nsub/c.jpg,three,val\n")
    with pytest.raises(DataError, match=r"`split` holds test, train, val; choose.*x\.csv#val.*x\.csv#test\+train\+val"):
        open_source(here / "x.csv")
    assert [texts(r)[0] for r in open_source(f"{here}/x.csv#train")] == ["one"]
    assert [texts(r)[0] for r in open_source(f"{here}/x.csv#train+val")] == ["one", "three"]
    assert [texts(r)[0] for r in everything(stream_source(f"{here}/x.csv#test"))] == ["two"]
    with pytest.raises(DataError, match=r"no split dev\. Its column `split` holds: test, train, val"):
        open_source(f"{here}/x.csv#dev")
    (here / "y.csv").write_text("image,caption\na.jpg,one\n")
    with pytest.raises(DataError, match=r"no column `split` by which to choose train"):
        open_source(f"{here}/y.csv#train")


def test_the_folder_of_the_images_can_be_named(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = json_lines(tmp_path_factory.mktemp("elsewhere") / "x.jsonl", {"image": "a.jpg", "caption": "one"})
    with pytest.raises(DataError, match=r"Relative image paths start at .*elsewhere"):
        open_source(path)
    assert open_source(path, Columns(folder=here))[0].image == here / "a.jpg"
    absolute = json_lines(path, {"image": str(here / "b.jpg"), "caption": "one"})
    assert open_source(absolute)[0].image == here / "b.jpg"


def test_json_lines_stream_in_blocks_with_true_line_numbers(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dovetail.data.sources.jsonlines.BLOCK", 3)
    names = ["a.jpg", "a.jpg", "b.jpg", "broken", "a.jpg", "sub/c.jpg", "gone.jpg"]
    rows = [n if n == "broken" else {"image": n, "caption": f"é{i}"} for i, n in enumerate(names)]
    stream = stream_source(json_lines(here / "x.jsonl", *rows))
    assert isinstance(stream, Stream) and not isinstance(stream, Table)
    assert stream.units() == ["00000 x.jsonl", "00001 x.jsonl", "00002 x.jsonl"]
    first = [(r.name, texts(r)) for r in everything(stream)]
    assert first == [
        ("x.jsonl line 1 (a.jpg)", ["é0", "é1"]),  # neighbours are joined
        ("x.jsonl line 3 (b.jpg)", ["é2"]),
        ("x.jsonl line 5 (a.jpg)", ["é4"]),
        ("x.jsonl line 6 (sub/c.jpg)", ["é5"]),
    ]
    assert [(r.name, texts(r)) for r in everything(stream)] == first
    assert stream.problems.counts == {"broken JSON line": 1, "missing image file": 1}  # a second reading counts no more
    ids = [r.id for r in everything(stream)]
    assert ids[0] == ids[2] and set(ids) == {r.id for r in open_source(here / "x.jsonl")}


def test_what_cannot_stream_says_what_can(here: Path) -> None:
    (here / "x.json").write_text("[]")
    with pytest.raises(DataError, match=r"json cannot be streamed; csv, jsonl, parquet, tar shards can"):
        stream_source(here / "x.json")
    with pytest.raises(DataError, match=r"a list cannot be streamed; open it with open_source"):
        stream_source([])
    with pytest.raises(DataError, match=r"nothing in it can be used: 1 x missing image file"):
        stream_source(json_lines(here / "x.jsonl", {"image": "gone.jpg", "caption": "x"}))
    (here / "y.jsonl").touch()
    with pytest.raises(DataError, match=r"there is no data in it"):
        stream_source(here / "y.jsonl")


def test_a_table_is_frugal_and_can_be_sent_to_another_process(here: Path) -> None:
    for i in range(300):
        (here / f"{i}.jpg").write_bytes(jpeg(i % 255))
    rows = [
        {"image": f"{i}.jpg", "captions": [f"caption {k} of image {i}, which is nice" for k in range(5)]}
        for i in range(300)
    ]
    table = open_source(json_lines(here / "x.jsonl", *rows))
    packed = pickle.dumps(table)
    assert len(packed) / 300 < 600  # bytes an image, of which 180 are captions
    again = pickle.loads(packed)
    assert again[123] == table[123] and len(again) == 300
