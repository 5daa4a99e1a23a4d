"""Training on from a trained model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import dovetail
from dovetail.cli.main import main
from dovetail.models.files import load_tensors
from dovetail.training import loop
from dovetail.training.checkpoint import State
from dovetail.training.task import Task
from tests import runs

STEPS = ["--steps", "6", "--batch", "16", "--settings.evaluations", "2", "--settings.log_every", "1"]
STEPS += ["--settings.learning_rate", "0.01", "--settings.precision", "fp32"]
PICTURES = [f"val/{i}.jpg" for i in range(8)]


def _tuned(folder: Path, out: Path, *options: str) -> Path:
    data = ["--data", str(folder / "train.csv"), "--val", str(folder / "val.csv"), "--out", str(out)]
    main(["train", "--model", str(folder / "run"), *data, *STEPS, *options])
    return out


def _embedded(folder: Path, run: Path) -> np.ndarray:
    return dovetail.load(run).encode_image([folder / p for p in PICTURES])


def test_heads_leave_the_towers_alone(trained: Path, tmp_path: Path) -> None:
    out = _tuned(trained, tmp_path / "out", "--tune", "heads", "--val", str(trained / "train.csv"))
    before, after = (load_tensors(run / "model.safetensors") for run in (trained / "run", out))
    changed = {name for name, x in after.items() if not np.array_equal(x, before[name])}
    assert changed == {"image_projection.weight", "text_projection.weight", "log_scale"}
    config = yaml.safe_load((out / "config.yaml").read_text())
    assert (config["tune"], config["objective"], config["size"]) == ("heads", "infonce", None)
    page = (out / "report.html").read_text()
    assert "tuned (heads) from" in page and "trained from scratch" not in page


def test_low_rank_maps_lie_apart_and_merged(trained: Path, tmp_path: Path) -> None:
    train = str(trained / "train.csv")
    out = _tuned(trained, tmp_path / "out", "--tune", "lora", "--val", train, "--watch", train)
    last = tmp_path / "last"  # without --val: of the others the best is kept, which may be the first
    main(["train", "--model", str(trained / "run"), "--data", train, "--out", str(last), *STEPS, "--tune", "lora"])
    assert np.abs(_embedded(trained, last) - _embedded(trained, trained / "run")).max() > 1e-3, "it has learnt"
    assert {p.name for p in (out / "adapter").iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    np.testing.assert_allclose(_embedded(trained, out), _embedded(trained, out / "adapter"), atol=1e-5)
    seen = runs.rows(out, "watch/mean_recall")
    assert [row["step"] for row in seen] == [0, 3, 6], "it is evaluated before the first step, too"
    assert "Learnt and forgotten" in (out / "report.html").read_text()


def test_the_mean_with_the_original_is_kept(trained: Path, tmp_path: Path) -> None:
    out = _tuned(trained, tmp_path / "out", "--wise", "0.5", "--val", str(trained / "train.csv"))
    first, tuned, kept = (load_tensors(run / "model.safetensors") for run in (trained / "run", out / "tuned", out))
    for name, x in kept.items():
        np.testing.assert_allclose(x, (first[name] + tuned[name]) / 2, atol=1e-6)
    way = json.loads((out / "wise.json").read_text())
    assert [row["alpha"] for row in way] == [0.0, 0.25, 0.5, 0.75, 1.0] and "val/mean_recall" in way[0]


@pytest.mark.parametrize("tune", ["lora", "lock-image"])
def test_a_run_that_was_stopped_goes_on_as_if_nothing_happened(
    trained: Path, tmp_path: Path, tune: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--tune", tune, "--val", str(trained / "train.csv"), "--settings.save_seconds", "0.0"]
    whole = _tuned(trained, tmp_path / "whole", *options)
    save = loop.save_checkpoint

    def stop(folder: Path, task: Task, optimizer: Any, ema: Any, state: State) -> None:
        save(folder, task, optimizer, ema, state)
        if state.step == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(loop, "save_checkpoint", stop)
        with pytest.raises(SystemExit):
            _tuned(trained, tmp_path / "part", *options)
    part = tmp_path / "part"
    assert [step for step, _ in runs.losses(part)] == [1, 2, 3, 4] and not (part / "report.html").exists()
    main(["train", "--config", str(part / "config.yaml"), "--resume"])
    assert runs.losses(part) == runs.losses(whole)
    assert np.array_equal(_embedded(trained, part), _embedded(trained, whole))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--wise", "2"], "--wise 2.0: a share between 0"),
        (["--image", "vit"], "--image makes a model from scratch"),
        (["--tune", "some"], "--tune some: there are full, lora"),
    ],
)
def test_options_that_do_not_go_together(
    trained: Path, tmp_path: Path, options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        _tuned(trained, tmp_path / "out", *options)
    assert told in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_watching_needs_a_validation(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", str(trained / "train.csv"), "--out", str(tmp_path / "out"), "--watch", str(trained / "val.csv")]
    with pytest.raises(SystemExit):
        main(["train", "--model", str(trained / "run"), *data])
    assert "give the latter with --val" in " ".join(capsys.readouterr().err.split())
