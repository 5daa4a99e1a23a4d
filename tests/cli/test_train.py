"""From data to a run folder."""

import json
from pathlib import Path

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import dovetail
from dovetail.cli.main import main
from dovetail.cli.train import plain
from dovetail.training.checkpoint import newest
from tests import runs

FOLDER = {
    "config.yaml", "config.json", "model.safetensors", "preprocessing.json", "tokenizer.json", "tokenizer_config.json",
    "log.jsonl", "tensorboard", "metrics.json", "report.html", "report.png", "checkpoints",
}  # fmt: skip


def test_a_run_folder_holds_all_there_is_to_know(trained: Path) -> None:
    run = trained / "run"
    assert {path.name for path in run.iterdir()} == FOLDER
    assert newest(run / "checkpoints") == run / "checkpoints" / "step-00000024"
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["steps"] == 24 and config["batch"] == 16 and config["settings"]["learning_rate"] == 1e-3  # resolved
    assert json.loads((run / "metrics.json").read_text())["results"][0]["counts"] == {"images": 24, "captions": 24}
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    logged = [(e.step, e.value) for e in events.Scalars("loss")]
    assert logged == [(step, pytest.approx(loss, rel=1e-6)) for step, loss in runs.losses(run)]


def test_it_learns(trained: Path) -> None:
    losses = [loss for _, loss in runs.losses(trained / "run")]
    assert sum(losses[-6:]) < 0.9 * sum(losses[:6])
    model = dovetail.load(trained / "run")
    pictures = [trained / "val" / f"{i}.jpg" for i in range(24)]
    texts = [line.partition(",")[2] for line in (trained / "val.csv").read_text().splitlines()[1:]]
    scores = model.similarity(model.encode_image(pictures), model.encode_text(texts))
    assert scores.diagonal().mean() > scores.mean() + 0.1


def test_the_log_speaks_of_steps_speed_and_validation(trained: Path) -> None:
    rows = runs.rows(trained / "run")
    assert len(rows) == 24 and 24 * 15 < rows[-1]["images"] < 24 * 16  # of 63 pictures one is broken
    assert all(row["images_per_second"] > 0 for row in rows)
    seen = runs.rows(trained / "run", "val/mean_recall")
    assert [row["step"] for row in seen] == [8, 16, 24]
    recalls = [v for k, v in seen[0].items() if "/R@" in k]
    assert len(recalls) == 6 and seen[0]["val/mean_recall"] == pytest.approx(sum(recalls) / 6)  # in percent


def test_a_cache_of_pictures_that_need_no_shrinking_changes_nothing(trained: Path, tmp_path: Path) -> None:
    again, cache = tmp_path / "again", str(tmp_path / "cache")
    main(["train", "--config", str(trained / "run" / "config.yaml"), "--out", str(again), "--cache", cache])
    assert runs.losses(again) == runs.losses(trained / "run")
    assert yaml.safe_load((again / "config.yaml").read_text())["cache"] == cache
    assert len(list((tmp_path / "cache").rglob("*.pictures"))) == 1


def test_the_configuration_repeats_the_run(trained: Path, tmp_path: Path) -> None:
    run = trained / "run"
    main(["train", "--config", str(run / "config.yaml"), "--out", str(tmp_path / "again")])
    assert runs.losses(tmp_path / "again") == runs.losses(run)
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()
    first, second = (yaml.safe_load((folder / "config.yaml").read_text()) for folder in (run, tmp_path / "again"))
    assert {k for k in first if first[k] != second[k]} == {"out"}


def test_another_seed_is_another_run(trained: Path, tmp_path: Path) -> None:
    main(["train", "--config", str(trained / "run" / "config.yaml"), "--out", str(tmp_path / "b"), "--seed", "1"])
    assert runs.losses(tmp_path / "b")[0] != runs.losses(trained / "run")[0]


def test_the_default_towers_an_objective_by_name_and_several_sources(tmp_path: Path) -> None:
    """The whole of `--size tiny`, batch normalisation included; without held-out data the last model is kept."""
    a, b = runs.photos(tmp_path, "a", 12), runs.photos(tmp_path, "b", 12, seed=1)
    out = tmp_path / "run"
    options = ["--batch", "8", "--steps", "2", "--workers", "0", "--settings.log_every", "1"]
    main(
        ["train", "--data", str(a), str(b), "--weights", "1", "3", "--objective", "siglip", "--out", str(out), *options]
    )
    assert len(runs.losses(out)) == 2
    model = dovetail.load(out)
    assert model.bias is not None and model.preprocessing.size == 96
    assert float(model.bias.detach()) != -10  # not the one of the start
    assert "Nothing was held out" in (out / "report.html").read_text()


def test_evaluating_never_keeps_the_last_model(tmp_path: Path) -> None:
    data = runs.photos(tmp_path, "a", 16)
    out = tmp_path / "run"
    options = [*runs.SMALL, "--steps", "2", "--workers", "0", "--settings.evaluations", "0"]
    main(["train", "--data", str(data), "--val", str(data), "--out", str(out), *options])
    assert float(dovetail.load(out).log_scale.detach()) != pytest.approx(2.659260036932778, abs=1e-7)


def test_a_stream_is_trained_on_shard_by_shard(tmp_path: Path) -> None:
    data = runs.photos(tmp_path, "a", 20)
    options = [*runs.SMALL, "--steps", "3", "--workers", "0", "--settings.log_every", "1"]
    main(["train", "--data", str(data), "--stream", "--out", str(tmp_path / "run"), *options])
    assert len(runs.losses(tmp_path / "run")) == 3


def test_the_towers_see_as_many_images_as_they_are_given(tmp_path: Path) -> None:
    """Either spelling of the option gives the run that the whole batch gives, but for rounding."""
    data = runs.photos(tmp_path, "a", 24)
    options = [
        *runs.SMALL,
        "--steps",
        "3",
        "--workers",
        "0",
        "--settings.log_every",
        "1",
        "--settings.precision",
        "fp32",
    ]
    for name, more in {"whole": [], "dashes": ["--micro-batch", "5"], "config": ["--micro_batch", "5"]}.items():
        main(["train", "--data", str(data), "--out", str(tmp_path / name), *options, *more])
    whole, dashes = ([loss for _, loss in runs.losses(tmp_path / name)] for name in ("whole", "dashes"))
    assert dashes == pytest.approx(whole, rel=1e-4) and runs.losses(tmp_path / "config") == runs.losses(
        tmp_path / "dashes"
    )
    assert yaml.safe_load((tmp_path / "dashes" / "config.yaml").read_text())["settings"]["micro_batch"] == 5


def test_values_become_plain() -> None:
    assert plain({"a": (1, Path("b")), "c": [None, {"d": 2.5}]}) == {"a": [1, "b"], "c": [None, {"d": 2.5}]}
