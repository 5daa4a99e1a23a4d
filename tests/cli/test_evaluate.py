"""Measuring a trained model."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from dovetail.cli.main import main
from dovetail.evaluation.result import Results


def test_retrieval_is_what_the_run_found(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures.json"
    main(["evaluate", str(trained / "run"), "--data", str(trained / "val.csv"), "--out", str(out)])
    told = capsys.readouterr().out
    (found,) = Results.read(out).results
    (before,) = Results.read(trained / "run" / "metrics.json").results
    assert {k: e.value for k, e in found.items()} == {k: e.value for k, e in before.items()}
    assert (
        "text_to_image/R@1 %" in told and str(found["text_to_image/R@10"]) in told and "24 images, 24 captions" in told
    )


def test_a_labelled_folder_is_classified_and_several_data_are_measured(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, colour in (("red", (250, 0, 0)), ("green", (0, 250, 0))):
        (tmp_path / "classes" / name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (40, 32 + i), colour).save(tmp_path / "classes" / name / f"{i}.png")
    (tmp_path / "templates.txt").write_text("{} 7\n{} 0\n")
    data = ["--data", str(tmp_path / "classes"), str(trained / "val.csv")]
    out = tmp_path / "figures.json"
    main(
        [
            "evaluate",
            str(trained / "run"),
            *data,
            "--templates",
            str(tmp_path / "templates.txt"),
            "--out",
            str(out),
            "--limit",
            "10",
        ]
    )
    zero_shot, retrieval = json.loads(out.read_text())["results"]
    assert zero_shot["name"] == f"zero-shot on {tmp_path / 'classes'}"
    assert zero_shot["counts"] == {"images": 6, "classes": 2} and zero_shot["details"]["templates"] == ["{} 7", "{} 0"]
    assert set(zero_shot["details"]["per_class"]) == {"red", "green"}
    assert retrieval["counts"] == {"images": 10, "captions": 10}
    assert "top1 %" in capsys.readouterr().out


def test_by_default_the_figures_go_into_the_run(trained: Path, tmp_path: Path) -> None:

    shutil.copytree(trained / "run", tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints", "metrics.json"))
    main(["evaluate", str(tmp_path / "run"), "--data", str(trained / "val.csv")])
    assert Results.read(tmp_path / "run" / "metrics.json").about == {"run": str(tmp_path / "run")}


def test_pictures_alone_cannot_be_measured(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "flat").mkdir()
    Image.new("RGB", (40, 32)).save(tmp_path / "flat" / "a.png")
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", str(trained / "run"), "--data", str(tmp_path / "flat"), "--out", str(tmp_path / "f.json")])
    told = " ".join(capsys.readouterr().err.split())
    assert ended.value.code == 2 and "label" in told and not (tmp_path / "f.json").exists()
