"""What goes wrong on a user's side, at the command line: a message that helps, and nothing half done."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dovetail
from dovetail.cli.main import main
from tests import runs
from tests.data.files import jpeg, json_lines, shard

QUICK = [*runs.SMALL, "--steps", "2", "--workers", "0", "--settings.log_every", "1"]
SCRIPTS = [
    "ein grünes Bild",
    "зелёная картинка",
    "一张绿色的图片",
    "صورة خضراء",
    "हरा चित्र",
    "緑の写真 🟩🎨",
    "👩🏽‍🚀🏳️‍🌈",
    "ภาพสีเขียว",
]


def _train(data: Path | str, out: Path, *more: str) -> None:
    main(["train", "--data", str(data), "--out", str(out), *QUICK, *more])


def _refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Runs a command that must fail, and returns its message."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "Traceback" not in told
    return " ".join(told.partition("error:")[2].split())


def _never_starts(capsys: pytest.CaptureFixture[str], out: Path, *arguments: str) -> str:
    """A training that must fail before it starts: not even its folder is made."""
    told = _refused(capsys, "train", "--out", str(out), *QUICK, *arguments)
    assert not out.exists()
    return told


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return runs.photos(tmp_path, "good", 16)


# Data that cannot be opened


def test_a_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = _never_starts(capsys, tmp_path / "run", "--data", str(tmp_path / "photos.csv"))
    assert str(tmp_path / "photos.csv") in told and re.search(
        "no such file|does not exist|not there|nothing", told.lower()
    )


@pytest.mark.parametrize("name", ["latin.csv", "data.bin", "broken.json", "broken.parquet", "photos.csv.gz"])
def test_an_unreadable_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    content = {
        "latin.csv": "filepath,title\na.jpg,Gr\xfcn\n".encode("latin1"),
        "broken.json": b'[{"image": "a.jpg", ',
    }
    (tmp_path / name).write_bytes(content.get(name, b"\x00\x01\x02 nothing of any kind"))
    told = _never_starts(capsys, tmp_path / "run", "--data", str(tmp_path / name))
    assert name in told
    if name == "latin.csv":
        assert "latin.csv line 2: the bytes are not UTF-8" in told and "iconv" in told


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good.chmod(0)
    assert "cannot be read: Permission denied" in _never_starts(capsys, tmp_path / "run", "--data", str(good))


def test_a_wrong_column(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = _never_starts(capsys, tmp_path / "run", "--data", str(good), "--columns.captions", "caption")
    assert "good.csv" in told and "no column 'caption' to take the captions from" in told
    assert "Its columns are: filepath, title." in told
    (tmp_path / "odd.csv").write_text("picture,words\na.jpg,hello\n")
    told = _never_starts(capsys, tmp_path / "run", "--data", str(tmp_path / "odd.csv"))
    assert "no image column" in told and "no captions column" in told and "picture, words" in told


@pytest.mark.parametrize("text", ["", "filepath,title\n", "\n\n"])
def test_empty_data(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (tmp_path / "empty.csv").write_text(text)
    told = _never_starts(capsys, tmp_path / "run", "--data", str(tmp_path / "empty.csv"))
    assert "empty.csv" in told and "no data in it" in told


def test_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    assert "no pictures" in _never_starts(capsys, tmp_path / "run", "--data", str(tmp_path / "photos"))


# Pictures


def _pictures(folder: Path) -> list[str]:
    """One picture of every sort that can be used, each told apart by its caption."""
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    rgb = Image.fromarray(noise)
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb.convert("CMYK").save(folder / "cmyk.jpg")
    rgb.convert("P").save(folder / "palette.png")
    rgb.convert("RGBA").save(folder / "alpha.png")
    Image.fromarray(noise[:, :, 0].astype(np.uint16) * 257).save(folder / "sixteen.png")
    rgb.save(folder / "animated.gif", save_all=True, append_images=[rgb.rotate(90), rgb.rotate(180)])
    rgb.save(folder / "turned.jpg", exif=exif)
    rgb.convert("1").save(folder / "bits.png")
    rgb.save(folder / "picture.webp")
    return sorted(path.name for path in folder.iterdir())


def test_every_sort_of_picture_is_trained_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = _pictures(tmp_path / "odd")
    data = runs.table(tmp_path / "odd.csv", [(f"odd/{name}", f"a picture called {name}") for name in names])
    _train(data, tmp_path / "run", "--val", str(data))
    told = capsys.readouterr().err
    assert f"{len(names)} images with {len(names)} captions" in told and "skipped" not in told
    assert len(runs.losses(tmp_path / "run")) == 2
    assert "Nothing: every image and every caption was used." in _text(tmp_path / "run" / "report.html")


def test_pictures_that_cannot_be_used_are_skipped_and_counted(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    folder = tmp_path / "good"
    (folder / "cut.jpg").write_bytes((folder / "0.jpg").read_bytes()[:-200])
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    (folder / "page.jpg").write_text("<html>404</html>")
    (folder / "nothing.jpg").write_bytes(b"")
    _huge_png(folder / "huge.png")
    bad = ["cut.jpg", "dot.png", "page.jpg", "nothing.jpg", "huge.png", "gone.jpg"]
    data = runs.table(
        tmp_path / "photos.csv",
        [(f"good/{i}.jpg", f"picture {i}") for i in range(16)] + [(f"good/{n}", n) for n in bad],
    )
    _train(data, tmp_path / "run", "--val", str(data))
    told, report = capsys.readouterr().err, _text(tmp_path / "run" / "report.html")
    causes = {
        "truncated image": 1,
        "image too small": 1,
        "not an image": 2,
        "image too large": 1,
        "missing image file": 1,
    }
    for cause, count in causes.items():
        assert f"skipped {count} x {cause}, e.g. photos.csv line" in told
        assert cause in report
    assert "photos.csv line 18 (good/cut.jpg)" in told and "photos.csv line 18 (good/cut.jpg)" in report
    skipped = json.loads((tmp_path / "run" / "metrics.json").read_text())["results"][0]["skipped"]["counts"]
    assert skipped == causes
    assert len(runs.losses(tmp_path / "run")) == 2


def _huge_png(path: Path) -> None:
    """300 megapixels, in few bytes."""
    Image.new("1", (20_000, 15_000)).save(path)


def test_no_picture_can_be_used(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for picture in (tmp_path / "good").iterdir():
        picture.write_bytes(picture.read_bytes()[:150])
    told = _never_starts(capsys, tmp_path / "run", "--data", str(good))
    assert "none of its images can be used: 16 x truncated image, e.g. good.csv line 2 (good/0.jpg)" in told


def test_no_picture_to_evaluate_on_is_told_before_training(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held_out = runs.photos(tmp_path, "val", 4)
    for picture in (tmp_path / "val").iterdir():
        picture.write_text("not a picture")
    told = _never_starts(capsys, tmp_path / "run", "--data", str(good), "--val", str(held_out))
    assert "val.csv: none of its images can be used: 4 x not an image" in told


def test_no_picture_is_where_the_table_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = runs.table(tmp_path / "photos.csv", [("pictures/a.jpg", "a"), ("pictures/b.jpg", "b")])
    told = _never_starts(capsys, tmp_path / "run", "--data", str(data))
    assert "2 x missing image file" in told and str(tmp_path) in told


# Captions


def test_long_texts_and_every_script_are_trained_on(good: Path, tmp_path: Path) -> None:
    texts = ["word " * 2000, "字" * 10_000, "x" * 10_000, *SCRIPTS]
    data = runs.table(tmp_path / "texts.csv", [(f"good/{i}.jpg", text) for i, text in enumerate(texts)])
    _train(data, tmp_path / "run", "--val", str(data))
    model = dovetail.load(tmp_path / "run")
    embedded = model.encode_text([*texts, "", "word " * 2000 + "another end"])
    assert np.isfinite(embedded).all() and embedded.shape[0] == len(texts) + 2
    np.testing.assert_allclose(embedded[-1], embedded[0], atol=1e-5)  # both are cut at the context
    distances = embedded[3 : len(texts)] @ embedded[3 : len(texts)].T
    assert (distances - 2 * np.eye(len(SCRIPTS)) < 0.9999).all()  # no two scripts fall together
    assert "緑の写真 🟩🎨" in _text(tmp_path / "run" / "report.html")


def test_captions_that_are_none_are_skipped_and_counted(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    strange: list[Any] = ["", "   ", 17, None, ["good", ""], {"a": "b"}]
    rows = [{"image": f"good/{i}.jpg", "caption": f"picture {i}"} for i in range(10)]
    rows += [{"image": f"good/{i}.jpg", "caption": cell} for i, cell in enumerate(strange, 10)]
    data = json_lines(tmp_path / "photos.jsonl", *rows)
    _train(data, tmp_path / "run")
    told, report = capsys.readouterr().err, _text(tmp_path / "run" / "report.html")
    assert "11 images with 11 captions" in told
    for cause, count in {"empty caption": 3, "caption is not text": 2, "image without a usable caption": 5}.items():
        assert f"skipped {count} x {cause}, e.g. photos.jsonl line" in told and cause in report


def test_no_caption_can_be_used(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = runs.table(tmp_path / "empty.csv", [(f"good/{i}.jpg", " ") for i in range(4)])
    told = _never_starts(capsys, tmp_path / "run", "--data", str(data))
    assert "nothing in it can be used" in told and "4 x empty caption" in told


# Shards


def test_a_shard_broken_in_the_middle(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    for k in range(3):
        members = {
            f"{k}{i}.{kind}": jpeg(i, (40, 32)) if kind == "jpg" else f"shade {i}"
            for i in range(8)
            for kind in ("jpg", "txt")
        }
        path = shard(tmp_path / f"shard-{k}.tar", members)
        if k == 1:
            path.write_bytes(path.read_bytes()[:6000])
    _train(str(tmp_path / "shard-{0..2}.tar"), tmp_path / "run")
    told = capsys.readouterr().err
    assert "skipped 1 x broken shard, e.g. shard-1.tar after 1" in told
    assert "broken shard" in _text(tmp_path / "run" / "report.html")
    assert len(runs.losses(tmp_path / "run")) == 2


# Models


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "preprocessing.json", "tokenizer.json", "tokenizer_config.json"]
)
def test_a_checkpoint_with_a_file_missing(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    shutil.copytree(trained / "run", tmp_path / "run")
    (tmp_path / "run" / name).unlink()
    for command in (["evaluate"], ["embed", "--out", str(tmp_path / "out")]):
        told = _refused(capsys, command[0], str(tmp_path / "run"), "--data", str(trained / "val.csv"), *command[1:])
        assert str(tmp_path / "run") in told and name in told and re.search("is missing|no such file", told)
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_that_is_damaged(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(trained / "run", tmp_path / "run")
    weights = tmp_path / "run" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    told = _refused(capsys, "evaluate", str(tmp_path / "run"), "--data", str(trained / "val.csv"))
    assert "model.safetensors: broken" in told and "copy it again" in told


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--objective", "siglp", "did you mean siglip"),
        ("--objective", "infonce(temperature=1)", "infonce takes (initial_scale"),
        ("--image", "vitt", "did you mean vit"),
        ("--image", "vit(size=33)", "must be a multiple of patch"),
        ("--text", "text_transfromer(vocabulary=300)", "did you mean text_transformer"),
        ("--tokenizer", "missing.json", "missing.json"),
        ("--weights", "0", "must be positive"),
        ("--steps", "0", "--steps 0: give a number above 0"),
        ("--epochs", "2", "give one of them"),
    ],
)
def test_what_does_not_exist_is_told_before_anything_is_written(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str, told: str
) -> None:
    assert told in _never_starts(capsys, tmp_path / "run", "--data", str(good), option, value)


# Output


def test_an_output_folder_that_holds_a_run(trained: Path, good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained / "run"
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    told = _refused(capsys, "train", "--data", str(good), "--out", str(run), *QUICK)
    assert f"{run} holds a run already. --resume continues it; or choose another --out." in told
    told = _refused(capsys, "train", "--data", str(good), "--out", str(run), *QUICK, "--resume")
    assert "holds a run with other options" in told and "steps: 24 there, 2 asked for" in told
    assert f"--config {run / 'config.yaml'} --resume" in told
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_an_output_folder_that_holds_something_else(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("years of work")
    for out in (tmp_path / "thesis", tmp_path / "thesis" / "thesis.tex"):
        told = _refused(capsys, "train", "--data", str(good), "--out", str(out), *QUICK)
        assert f"{out} exists and is not a run of Dovetail; choose another --out, nothing was changed." in told
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["thesis.tex"]
    assert (tmp_path / "thesis" / "thesis.tex").read_text() == "years of work"


def test_an_output_folder_that_is_empty_is_used(good: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    _train(good, tmp_path / "run")
    assert (tmp_path / "run" / "report.html").exists()


def _text(path: Path) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<(style|script).*?</\1>", " ", path.read_text())).split())
