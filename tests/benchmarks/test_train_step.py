"""The benchmark of a training step and its profile run, and refuse to compare what is not the same work."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _path() -> Iterator[None]:
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))


def _run(script: str, *options: str) -> str:
    done = subprocess.run([sys.executable, str(BENCHMARKS / script), *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_tiny_step_is_measured_and_written(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    only = ["--shapes", "tiny", "--precisions", "fp32", "--modes", "eager", "--rounds", "1"]
    printed = _run("train_step.py", *only, "--out", str(out))
    (row,) = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert row["dovetail images/s"] > 0 and row["open_clip images/s"] > 0
    assert 4 < row["tokens"] < 40
    assert f"{row['dovetail images/s'] / row['open_clip images/s']:.2f} |" in printed


@pytest.mark.slow
def test_a_tiny_step_is_profiled(tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    printed = _run("profile_step.py", "--shape", "tiny", "--rounds", "1", "--out", str(out))
    ours, theirs = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert theirs["flops"] > 1.5 * ours["flops"], "77 tokens a caption are more work than those it has"
    for row in (ours, theirs):
        assert sum(row["kinds"].values()) == pytest.approx(1)
        assert row["kinds"]["optimiser"] > 0 and row["kinds"]["norms"] > 0
    assert all(spent > 0 for spent in ours["stages"].values()) and "stages" not in theirs
    assert "| towers, backward |" in printed


def test_sides_whose_first_losses_differ_are_not_compared() -> None:
    import train_step

    train_step.agree([2.0, 2.0001], "fp32")
    with pytest.raises(ValueError, match="first losses differ: 2.0 .dovetail. and 2.1 .open_clip."):
        train_step.agree([2.0, 2.1], "fp32")


def test_both_sides_take_the_same_steps() -> None:
    import clip_steps
    import torch

    shape = clip_steps.SHAPES["tiny"]
    held = clip_steps.work(shape, None, "cpu")
    ours, theirs = clip_steps.models(shape, held.tokenizer, "cpu")
    steps = (
        clip_steps.our_step(ours, held.ours, "fp32", "cpu"),
        clip_steps.their_step(theirs, held.theirs, "fp32", "cpu"),
    )
    for number in (0, 1, 0, 1):  # from the second on, the losses depend on the gradients and the optimiser
        torch.testing.assert_close(steps[0](number), steps[1](number), rtol=1e-3, atol=1e-3)
    assert torch.isfinite(steps[0](0))


def test_too_few_captions_are_named(tmp_path: Path) -> None:
    import clip_steps

    path = tmp_path / "few.jsonl"
    (tmp_path / "a.jpg").touch()
    path.write_text('{"image": "a.jpg", "captions": ["a dog"]}\n', encoding="utf-8")
    with pytest.raises(ValueError, match="few.jsonl has 1 images with a caption, 2 are needed"):
        clip_steps.captions(str(path), 2)
