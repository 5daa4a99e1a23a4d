"""`dovetail compare` from the command line, and what it concludes."""

import json
from pathlib import Path

import pytest

from dovetail.cli.main import main
from dovetail.evaluation.comparison import Comparison
from tests import runs

OPTIONS = ["--size", "micro", "--image", "vit(size=16, patch=8, width=16, depth=1, heads=1)", "--batch", "8",
           "--steps", "3", "--settings.evaluations", "2"]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compared")
    runs.photos(folder, "train", 60)
    runs.photos(folder, "val", 12, seed=1)
    return folder


def test_two_objectives_on_held_out_data(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = data / "out"
    given = ["--data", str(data / "train.csv"), "--val", str(data / "val.csv"), "--out", str(out), *OPTIONS]
    main(["compare", "infonce", "siglip", *given])
    told = " ".join(capsys.readouterr().out.split())
    found = Comparison.read(out / "comparison.json")
    assert [c.name for c in found.contenders] == ["infonce", "siglip"] and found.seeds == 1
    for contender in found.contenders:
        assert (contender.steps, contender.images) == (3, 24) and contender.seconds > 0 and contender.peak_bytes > 0
        assert len(contender.curve) == 2 and contender.curve[0][0] < contender.curve[1][0]
    gap = found.contenders[1].figures["mean_recall"].value - found.contenders[0].figures["mean_recall"].value
    assert found.differences["siglip"]["mean_recall"].value == pytest.approx(gap)
    assert "siglip" in told and "infonce" in told
    assert "one seed" in told or "at chance" in told, "a conclusion in words"
    for name in ("comparison.html", "comparison.md", "comparison.svg"):
        assert (out / name).stat().st_size > 500
    before = {path: path.stat().st_mtime_ns for path in out.glob("trainings/*/cost.json")}
    main(["compare", "infonce", "siglip", *given])  # goes on where it was: at the end
    assert {path: path.stat().st_mtime_ns for path in out.glob("trainings/*/cost.json")} == before and len(before) == 2


def test_without_val_a_part_is_held_out_and_seeds_give_intervals(data: Path) -> None:
    out = data / "seeds"
    main(
        ["compare", "infonce", "siglip", "--data", str(data / "train.csv"), "--out", str(out), "--seeds", "2", *OPTIONS]
    )
    held = json.loads((out / "comparison.json").read_text())
    assert held["seeds"] == 2 and "held out" in held["about"]["measured on"]
    values = [c["per_seed"]["mean_recall"] for c in held["contenders"]]
    assert [len(v) for v in values] == [2, 2]
    difference = held["differences"]["siglip"]["mean_recall"]["value"]
    assert difference == pytest.approx((sum(values[1]) - sum(values[0])) / 2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["infonce"], "give two objectives or more to compare, each once; not: infonce"),
        (["infonce", "infonce"], "each once"),
        (["infonce", "sigclip"], "siglip"),
        (["infonce", "negclip"], "NegCLIP needs negative captions"),
        (["infonce", "siglip", "--seeds", "0"], "--seeds 0: give a number above 0"),
    ],
)
def test_mistakes_are_named_before_anything_is_trained(
    data: Path, given: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compare", *given, "--data", str(data / "train.csv"), "--out", str(data / "none"), *OPTIONS])
    assert ended.value.code == 2 and said in " ".join(capsys.readouterr().err.split())
    assert not (data / "none").exists()
