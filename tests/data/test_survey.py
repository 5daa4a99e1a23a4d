"""The look at the data before training."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from dovetail.data.records import Caption, DataError, ImageLike, Problems, Record
from dovetail.data.sources import Columns, open_source, stream_source
from dovetail.data.survey import need_captions, survey
from tests.data.files import jpeg, json_lines, pictures, shard


class Unreadable(DataError):
    cause = "truncated image"


def decode(image: ImageLike) -> Image.Image:
    data = image.read_bytes() if isinstance(image, Path) else image
    try:
        found = Image.open(io.BytesIO(data))
        found.load()
    except OSError as error:
        raise Unreadable("broken") from error
    return found


def test_counts_and_histograms(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg", "b.jpg", "c.jpg", "bad.jpg")
    (tmp_path / "bad.jpg").write_bytes(jpeg(1)[:200])
    path = json_lines(
        tmp_path / "x.jsonl",
        {"image": "a.jpg", "captions": ["A red dog", "two  words"], "label": "x"},
        {"image": "b.jpg", "captions": ["a RED dog", "a red dog"], "label": "y"},
        {"image": "c.jpg", "captions": {"zh": "两个女孩。", "en": "two words."}, "label": "x"},
        {"image": "bad.jpg", "captions": ["it", ""]},
        {"image": "gone.jpg", "captions": ["x"]},
    )
    source = open_source(path)
    (tmp_path / "c.jpg").unlink()  # after it was opened
    found = survey(source, decode)
    assert found.names == (str(path),) and found.complete
    assert (found.items, found.captions, found.labels) == (3, 5, 2)
    assert found.captions_per_image == {2: 2, 1: 1} and found.words == {3: 3, 2: 1, 1: 1}
    assert found.repeated_captions == 1 and found.sizes == ((8, 6), (8, 6))
    assert found.skipped == {"truncated image": 1, "missing image file": 2, "empty caption": 1}
    assert found.examples["missing image file"] == ("x.jsonl line 3 (c.jpg)", "x.jsonl line 5 (gone.jpg)")
    back = json.loads(json.dumps(found.to_json()))
    assert back["words"] == {"1": 1, "2": 1, "3": 3} and back["sizes"] == [[8, 6], [8, 6]] and back["items"] == 3
    assert source.problems.counts == {
        "missing image file": 1,
        "empty caption": 1,
    }  # the source's own tally is left alone


def test_what_objectives_may_require(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg", "b.jpg", "d.jpg")
    region = {"box": [0.0, 0.0, 0.5, 1.0], "phrase": "x"}
    path = json_lines(
        tmp_path / "x.jsonl",
        {"image": "a.jpg", "caption": "x", "long_caption": "x. y.", "synthetic": ["y", "z"], "depth": "d.jpg"},
        {"image": "b.jpg", "caption": "x", "negatives": ["u", "v", "w"], "regions": [region] * 2, "frames": ["d.jpg"]},
    )
    found = survey(open_source(path), decode)
    captions = {"long captions": 1, "synthetic captions": 2, "negative captions": 3}
    assert found.supply == {**captions, "regions": 1, "depth": 1, "video": 1}
    assert found.negatives == 3 and found.captions == 8
    assert json.loads(json.dumps(found.to_json()))["supply"] == found.supply


def test_languages_and_characters(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg")
    cell = {"zh": "两个女孩。", "ja": "猫 cat です", "ko": "두 소녀", "en": "two girls"}
    found = survey(open_source(json_lines(tmp_path / "x.jsonl", {"image": "a.jpg", "captions": cell})), decode)
    assert found.languages == {"zh": 1, "ja": 1, "ko": 1, "en": 1}
    assert found.words == {5: 1, 4: 1, 2: 2}  # 4 characters and a stop; 1 + 1 word + 2; two words; two words


class Made:
    """A table of made records of which only some can be decoded."""

    name = "made"

    def __init__(self, length: int, readable: set[int]) -> None:
        self.problems = Problems()
        self.tried: list[int] = []
        self.length, self.readable = length, readable

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: int) -> Record:
        if not 0 <= i < self.length:
            raise IndexError(i)
        return Record(str(i).encode(), (Caption("the same"),), f"made {i}", i)

    def decode(self, image: ImageLike) -> Image.Image:
        self.tried.append(int(bytes(image)))
        if self.tried[-1] not in self.readable:
            raise DataError("no")
        return Image.new("RGB", (5, 4))


def test_the_sample_is_evenly_spaced_and_goes_on_only_when_all_of_it_fails() -> None:
    made = Made(101, {0, 50, 63})
    assert survey(made, made.decode, sample=5).sizes == ((5, 4),) * 2
    assert made.tried == [0, 25, 50, 75, 100]
    made = Made(101, {3, 4})
    found = survey(made, made.decode, sample=5)
    assert made.tried == [0, 25, 50, 75, 100, 1, 2, 3] and found.sizes == ((5, 4),)
    assert found.skipped == {"unreadable image": 7} and found.repeated_captions == 1
    made = Made(20, set())
    with pytest.raises(
        DataError, match=r"made: none of its images can be used: 20 x unreadable image, e.g. made 0; made"
    ):
        survey(made, made.decode, sample=5)
    assert len(made.tried) == 20
    with pytest.raises(DataError, match=r"made: none of its images can be used: it is empty"):
        survey(Made(0, set()), made.decode)


def test_one_unusable_source_of_two_is_named() -> None:
    good, bad = Made(3, {0, 1, 2}), Made(3, set())
    bad.name = "the bad one"
    assert survey([good, good], good.decode).items == 6
    good.tried.clear()
    with pytest.raises(DataError, match=r"the bad one: none"):
        survey([good, bad], lambda image: good.decode(image) if len(good.tried) < 3 else bad.decode(image))


def test_streams_are_read_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for s in range(20):
        members = {
            f"{s:02d}{i:03d}{end}": jpeg(10 * s + i) if end == ".jpg" else f"c {s}"
            for i in range(10)
            for end in (".jpg", ".txt")
        }
        shard(tmp_path / f"{s:02d}.tar", members)
    monkeypatch.setattr("dovetail.data.survey.STREAMED", 40)
    found = survey(open_source(f"{tmp_path}/{{00..19}}.tar"), decode, sample=10)
    assert not found.complete and found.items == 40 and len(found.sizes) == 10
    assert found.repeated_captions == 8  # from eight shards, each with a caption of its own


def test_captions_can_be_demanded(tmp_path: Path) -> None:
    pictures(tmp_path, "daisy/a.jpg")
    found = survey(open_source(tmp_path), decode)
    assert found.captions_per_image == {0: 1} and found.words == {} and found.repeated_captions == 0
    with pytest.raises(DataError, match=r"there are no captions. Say which column holds them"):
        need_captions(found)
    json_lines(tmp_path / "x.jsonl", {"image": "daisy/a.jpg", "caption": "one"})
    need_captions(survey([open_source(tmp_path / "x.jsonl")], decode))


def test_a_stream_that_is_short_is_read_whole(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg", "b.jpg")
    rows = [{"picture": n, "caption": "x"} for n in ("a.jpg", "b.jpg", "gone.jpg")]
    stream = stream_source(json_lines(tmp_path / "x.jsonl", *rows), Columns(image="picture"))
    found = survey(stream, decode)
    assert found.items == 2 and found.skipped == {"missing image file": 1}


def test_flickr8k(shared_data: Path) -> None:
    found = survey(open_source(shared_data / "flickr8k" / "dev.jsonl"), decode, sample=20)
    assert found.items == 1000 and found.captions == 5000 and found.captions_per_image == {5: 1000}
    assert len(found.sizes) == 20 and max(max(size) for size in found.sizes) == 160
    assert not found.skipped and found.repeated_captions > 0
