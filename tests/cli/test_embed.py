"""Embeddings on disk, by the command."""

import json
from pathlib import Path

import numpy as np
import pytest

import dovetail
from dovetail.cli.main import main


def _embed(trained: Path, out: Path, data: str = "train.csv") -> None:
    main(["embed", str(trained / "run"), "--data", str(trained / data), "--out", str(out), "--workers", "0"])


def test_rows_are_the_embeddings_of_the_records(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    _embed(trained, tmp_path / "out")
    told = capsys.readouterr().err
    assert "skipped 1 x truncated image" in told and "1 x missing image" in told
    lines = (tmp_path / "out" / "records-00000.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    images, texts = (np.load(tmp_path / "out" / f"{kind}-00000.npy") for kind in ("images", "texts"))
    assert len(rows) == len(images) == len(texts) == 62
    model = dovetail.load(trained / "run")
    for i in (0, 3, 4, 61):  # beyond the two that are skipped, too
        path = trained / rows[i]["name"].partition("(")[2].rstrip(")")
        np.testing.assert_allclose(images[i], model.encode_image(path)[0], atol=1e-4)
        np.testing.assert_allclose(texts[i], model.encode_text(rows[i]["captions"])[0], atol=1e-4)
    assert not any("/3.jpg" in row["name"] or "/5.jpg" in row["name"] for row in rows)


def test_a_folder_of_other_embeddings_is_left_alone(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _embed(trained, tmp_path / "out", "val.csv")
    before = (tmp_path / "out" / "images-00000.npy").read_bytes()
    _embed(trained, tmp_path / "out", "val.csv")  # the same again is nothing to do
    with pytest.raises(SystemExit):
        _embed(trained, tmp_path / "out")
    told = capsys.readouterr().err
    assert f"holds the embeddings of {trained / 'val.csv'} by {trained / 'run'}; choose another --out" in told
    assert (tmp_path / "out" / "images-00000.npy").read_bytes() == before
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit):
        _embed(trained, tmp_path / "file")
    assert "is a file; --out names a folder" in capsys.readouterr().err
