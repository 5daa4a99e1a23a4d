"""Exporting a trained run, by the command."""

import re
from pathlib import Path

import pytest

from dovetail.cli.main import main
from tests.models.unchecked import unchecked

pytest.importorskip("onnxruntime")


def _export(trained: Path, out: Path, *more: str) -> None:
    with unchecked():
        main(["export", str(trained / "run"), "--to", "onnx", "--out", str(out), *more])


def test_a_run_as_onnx_with_what_eight_bits_cost(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    _export(trained, tmp_path / "out", "--int8", "--data", str(trained / "val.csv"), "--limit", "10")
    told = capsys.readouterr().out
    assert "image.onnx" in told and "text.int8.onnx" in told
    gap = re.search(r"opset 18; the vectors differ from torch's by at most (\S+)", told)
    assert gap and float(gap[1]) < 1e-4
    assert "10 images, 10 captions" in told and "onnx int8, minus torch" in told
    line = next(line for line in told.splitlines() if "mean_recall" in line)
    assert len(re.findall(r"\d", line)) > 3


def test_eight_bits_without_data_are_refused(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _export(trained, tmp_path / "out", "--int8")
    assert "--int8 costs recall; name captioned images with --data" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
