"""Training on what data may have beside images and captions."""

import json
from pathlib import Path

import pytest
import yaml

from dovetail.cli.main import main
from dovetail.data.records import DataError
from tests import runs

OPTIONS = [*runs.SMALL, "--steps", "2", "--workers", "0", "--settings.log_every", "1", "--settings.precision", "fp32"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Each with a short caption, a paragraph, what a captioner says, a depth map and frames."""
    lines = runs.photos(tmp_path, "a", 20).read_text().splitlines()[1:]
    rows = [
        {
            "image": (name := line.split(",")[0]),
            "caption": (text := line.split(",")[1]),
            "long_caption": f"There is {text}. It is plain! Is it 3.5 cm wide?",
            "synthetic": f"a picture of {text}",
            "depth": name,
            "frames": [name, name],
        }
        for line in lines
    ]
    (tmp_path / "all.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "all.jsonl"


@pytest.mark.parametrize("objective", ["dreamlip", "alip"])
def test_sentences_and_captions_of_several_kinds(photos: Path, tmp_path: Path, objective: str) -> None:
    more = ["--sub_captions", "2", "--objective", objective, "--captions_per_image", "3"]
    main(["train", "--data", str(photos), "--out", str(tmp_path / "run"), *OPTIONS, *more])
    assert len(runs.losses(tmp_path / "run")) == 2
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["sub_captions"] == 2


def test_without_them_the_objective_says_what_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = runs.photos(tmp_path, "a", 20)
    with pytest.raises((DataError, SystemExit)) as refused:
        main(["train", "--data", str(data), "--out", str(tmp_path / "run"), "--objective", "alip", *OPTIONS])
    told = f"{refused.value}{capsys.readouterr().err}"
    assert "ALIP needs synthetic captions" in told and "--columns.synthetic" in told
