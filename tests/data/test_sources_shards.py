"""Webdataset tar shards, whole and broken."""

import gzip
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from dovetail.data.records import DataError
from dovetail.data.sources import Columns, Stream, Table, open_source, stream_source
from tests.data.files import everything, jpeg, shard, texts


def samples(start: int, count: int = 3) -> dict[str, bytes | str]:
    members: dict[str, bytes | str] = {}
    for i in range(start, start + count):
        members |= {f"{i:03d}.jpg": jpeg(i), f"{i:03d}.txt": f"caption {i}"}
    return members


def test_shards_are_a_stream_of_bytes(tmp_path: Path) -> None:
    for s in range(3):
        shard(tmp_path / f"{s:05d}.tar", samples(10 * s))
    stream = open_source(f"{tmp_path}/{{00000..00001}}.tar::{tmp_path}/00002.tar")
    assert isinstance(stream, Stream) and not isinstance(stream, Table)
    assert stream.units() == ["00000 00000.tar", "00001 00001.tar", "00002 00002.tar"]
    records = everything(stream)
    assert [texts(r)[0] for r in records] == [f"caption {10 * s + i}" for s in range(3) for i in range(3)]
    assert records[4].image == jpeg(11) and records[4].name == "00001.tar sample 2 (011.jpg)"
    assert [r.id for r in stream_source(f"{tmp_path}/00001.tar").read("00000 00001.tar")] == [
        r.id for r in records[3:6]
    ]
    assert len({r.id for r in records}) == 9 and not stream.problems.counts


def test_what_a_sample_may_hold(tmp_path: Path) -> None:
    meta = {"caption": "from json", "key": "b", "width": 8, "captions": ["x", "y"]}
    path = shard(
        tmp_path / "x.tar",
        {
            "dir.v1/a.PNG": jpeg(1),  # a suffix is what follows the first dot of the file's own name
            "dir.v1/a.txt": "one\ntwo\n",
            "dir.v1/a.cls": "3",
            "dir.v1/b.webp": jpeg(2),
            "dir.v1/b.json": json.dumps(meta),
            "dir.v1/b.seg.png": b"mask",
            "dir.v1/c.txt": "no picture",
            "dir.v1/d.jpg": jpeg(3),
            "dir.v1/e.jpg": jpeg(4),
            "dir.v1/e.txt": b"\xff\xff",
            "dir.v1/e.json": "{",
            "__readme": "no suffix",
            ".DS_Store": "hidden",
        },
    )
    stream = open_source(path)
    (a,) = everything(stream)
    assert texts(a) == ["one", "two"] and a.label == "3" and a.name == "x.tar sample 1 (dir.v1/a.png)"
    assert stream.problems.counts == {
        "no image": 1,
        "text in a shard is not UTF-8": 1,
        "broken JSON in a shard": 1,
        "image without a usable caption": 3,
    }
    assert stream.problems.examples["broken JSON in a shard"] == ["x.tar sample 5 (dir.v1/e.json)"]
    (b,) = everything(open_source(path, Columns(captions="captions")))
    assert texts(b) == ["x", "y"] and b.extra == {k: meta[k] for k in ("caption", "key", "width")} | {
        ".seg.png": b"mask"
    }
    (b,) = everything(open_source(path, Columns(captions=["caption", "captions"])))
    assert texts(b) == ["from json", "x", "y"]


def test_captions_in_json_are_guessed_when_there_is_no_text(tmp_path: Path) -> None:
    path = shard(tmp_path / "x.tar", {"a.jpg": jpeg(1), "a.json": json.dumps({"text": ["one", "two"], "id": 4})})
    assert texts(everything(open_source(path))[0]) == ["one", "two"]


def cut(path: Path) -> None:
    """Ends in the middle of the second sample's picture."""
    path.write_bytes(path.read_bytes()[: 512 * 6 + 100])


def scribble(path: Path) -> None:
    """Overwrites the header of the third sample's picture, at which tarfile stops without an error."""
    data = bytearray(path.read_bytes())
    at = data.index(b"012.jpg")
    data[at : at + 512] = bytes(range(256)) * 2
    path.write_bytes(bytes(data))


def headless(path: Path) -> None:
    path.write_bytes(b"<html>404</html>" * 100)


def endless(path: Path) -> None:
    """Lacks the zeros at the end, as an interrupted download may."""
    data = path.read_bytes().rstrip(b"\0")
    path.write_bytes(data + bytes(-len(data) % 512))


@pytest.mark.parametrize(
    ("spoil", "left"), [(cut, 1), (scribble, 2), (headless, 0), (endless, 3), (lambda p: p.write_bytes(b""), 0)]
)
def test_a_broken_shard_in_the_middle(tmp_path: Path, spoil, left: int) -> None:
    for s in range(3):
        shard(tmp_path / f"{s}.tar", samples(10 * s))
    spoil(tmp_path / "1.tar")
    stream = open_source(f"{tmp_path}/{{0..2}}.tar")
    wanted = [0, 1, 2, *range(10, 10 + left), 20, 21, 22]
    assert [texts(r)[0] for r in everything(stream)] == [f"caption {i}" for i in wanted]
    assert stream.problems.counts == {"broken shard": 1}
    (name,) = stream.problems.examples["broken shard"]
    assert name.startswith(f"1.tar after {f'01{left - 1}.txt' if left else 'its start'} (")


def test_a_broken_shard_in_front(tmp_path: Path) -> None:
    shard(tmp_path / "1.tar", samples(10))
    headless(tmp_path / "0.tar")
    stream = open_source(f"{tmp_path}/{{0..1}}.tar")
    assert len(everything(stream)) == 3 and stream.problems.counts == {"broken shard": 1}


def test_a_sample_may_have_depth(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("I;16", (8, 6), 9_000).save(buffer, "PNG")
    members = {"000.depth.png": buffer.getvalue()} | samples(0, 2)
    first, second = everything(open_source(shard(tmp_path / "x.tar", members)))
    assert first.depth == members["000.depth.png"] and second.depth is None
    assert texts(first) == ["caption 0"] and first.image == jpeg(0)


def test_gzipped_shards(tmp_path: Path) -> None:
    data = shard(tmp_path / "x.tar", samples(0)).read_bytes()
    (tmp_path / "y.tar.gz").write_bytes(gzip.compress(data))
    (tmp_path / "z.tgz").write_bytes(gzip.compress(data)[:-30])
    assert len(everything(open_source(tmp_path / "y.tar.gz"))) == 3
    stream = open_source(tmp_path / "z.tgz")
    everything(stream)
    assert stream.problems.counts["broken shard"] == 1


def test_shards_of_which_nothing_is_left_are_refused(tmp_path: Path) -> None:
    headless(tmp_path / "0.tar")
    headless(tmp_path / "1.tar")
    with pytest.raises(
        DataError, match=r"\{0\.\.1\}\.tar: nothing in it can be used: 2 x broken shard, e\.g\. 0\.tar after its start"
    ):
        open_source(f"{tmp_path}/{{0..1}}.tar")
    with pytest.raises(DataError, match=r"2\.tar: no such file"):
        open_source(f"{tmp_path}/{{0..2}}.tar")
    shard(tmp_path / "2.tar", {"a.jpg": jpeg(1)})
    with pytest.raises(DataError, match=r"2\.tar: no captions column .* and no labels\. Its columns are: \.image\."):
        open_source(tmp_path / "2.tar")
    assert len(everything(open_source(tmp_path / "2.tar", Columns(captions=())))) == 1
