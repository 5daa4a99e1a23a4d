"""The demo, with few scenes."""

from pathlib import Path

import pytest

from dovetail.cli import demo as demonstration
from dovetail.cli.main import main
from dovetail.evaluation.result import Results
from tests import runs


def test_trains_reports_and_is_shown_the_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, count in {"TRAIN": 300, "VALIDATION": 20, "SINGLE": 40, "SEVERAL": 30}.items():
        monkeypatch.setattr(demonstration, name, count)
    monkeypatch.setenv("COLUMNS", "200")
    command = ["demo", "--out", str(tmp_path / "demo"), "--minutes", "0.03"]
    main(command)
    told = capsys.readouterr().out
    zero_shot, retrieval = Results.read(tmp_path / "demo" / "metrics.json").results
    assert zero_shot.counts["images"] == 40 and retrieval.counts["images"] == 30
    assert zero_shot.chance["top1"] == pytest.approx(1 / zero_shot.counts["classes"])
    said = [line for line in told.splitlines() if line][:3]
    assert f"{zero_shot['top1']} % of 40 held-out objects, out of {zero_shot.counts['classes']} kinds." in said[0]
    assert f"the one scene of 30 that a caption tells of at once in {retrieval['text_to_image/R@1']} %" in said[1]
    assert f"among its first ten in {retrieval['text_to_image/R@10']} %." in said[2]
    assert str(tmp_path / "demo" / "report.html") in told and "dovetail methods" in told
    assert "zero-shot accuracy" in (tmp_path / "demo" / "report.html").read_text()
    logged = runs.losses(tmp_path / "demo")

    main(command)
    again = capsys.readouterr()
    assert again.out == told and "holds a finished demo; delete it to train again" in again.err
    assert runs.losses(tmp_path / "demo") == logged


def test_a_killed_demo_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed after the training, before the figures."""
    for name, count in {"TRAIN": 200, "VALIDATION": 20, "SINGLE": 30, "SEVERAL": 30}.items():
        monkeypatch.setattr(demonstration, name, count)

    def killed(model: object, seed: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(demonstration, "measure", killed)
        with pytest.raises(SystemExit):
            main(["demo", "--out", str(tmp_path / "demo"), "--minutes", "0.02"])
    logged = runs.losses(tmp_path / "demo")
    assert not (tmp_path / "demo" / "report.html").exists()
    main(["demo", "--out", str(tmp_path / "demo"), "--minutes", "0.02"])
    assert "continuing at step" in capsys.readouterr().err
    assert runs.losses(tmp_path / "demo") == logged and (tmp_path / "demo" / "report.html").exists()
