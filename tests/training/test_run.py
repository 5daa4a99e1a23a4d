"""What a run is made of before it starts."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dovetail.data.records import DataError
from dovetail.training.course import budget
from dovetail.training.recipe import Recipe
from dovetail.training.run import (
    begin_folder,
    check_folder,
    count_parameters,
    device,
    has_gpu,
)
from dovetail.training.settings import Minutes, Steps
from tests import runs

CONFIG: dict[str, Any] = {"data": ["a.csv"], "steps": 3, "workers": 2, "settings": {"ema": 0.5}}


def test_a_budget_counts_steps_epochs_or_minutes() -> None:
    assert budget(Recipe(minutes=2.5), 100, 16) == Minutes(2.5)
    assert budget(Recipe(steps=7), None, 16) == Steps(7)
    assert budget(Recipe(epochs=2.0), 100, 16) == Steps(13)  # 200 / 16, the last batch begun
    assert budget(Recipe(epochs=0.001), 100, 16) == Steps(1)
    with pytest.raises(DataError, match=r"a stream has no known length.*--steps or --minutes"):
        budget(Recipe(epochs=2.0), None, 16)


def test_a_new_folder_gets_the_configuration(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "run", CONFIG, resume=False)
    assert not (tmp_path / "a").exists()  # looking changes nothing
    begin_folder(tmp_path / "a" / "run", CONFIG)
    assert yaml.safe_load((tmp_path / "a" / "run" / "config.yaml").read_text()) == CONFIG


def test_an_empty_folder_will_do_and_so_will_what_a_kill_left(tmp_path: Path) -> None:
    check_folder(tmp_path, CONFIG, resume=False)
    (tmp_path / "config.yaml.part").write_text("data: [")
    check_folder(tmp_path, CONFIG, resume=True)
    begin_folder(tmp_path, CONFIG)
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_a_run_is_continued_only_when_asked(tmp_path: Path) -> None:
    begin_folder(tmp_path, CONFIG)
    with pytest.raises(DataError, match=r"holds a run already\. --resume continues it"):
        check_folder(tmp_path, CONFIG, resume=False)
    check_folder(tmp_path, CONFIG, resume=True)
    check_folder(tmp_path, {**CONFIG, "workers": 0}, resume=True)  # changes nothing about the run
    check_folder(tmp_path, {**CONFIG, "settings": {"ema": 0.5, "micro_batch": 8}}, resume=True)  # a smaller card


def test_a_run_is_not_continued_with_other_options(tmp_path: Path) -> None:
    begin_folder(tmp_path, CONFIG)
    with pytest.raises(DataError, match=r"other options \(steps: 3 there, 4 asked for\).*--resume"):
        check_folder(tmp_path, {**CONFIG, "steps": 4}, resume=True)


@pytest.mark.parametrize("resume", [False, True])
def test_something_else_is_left_alone(tmp_path: Path, resume: bool) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for path in (tmp_path, tmp_path / "thesis.tex"):
        with pytest.raises(DataError, match="is not a run of Dovetail; choose another --out, nothing was changed"):
            check_folder(path, CONFIG, resume)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_parameters_are_counted() -> None:
    model = runs.model()
    counted = count_parameters(model)
    rest = model.image_projection.weight.numel() + model.text_projection.weight.numel() + 1
    assert counted["all"] == counted["image"] + counted["text"] + rest
    assert counted["image"] == sum(p.numel() for p in model.image.parameters())


def test_the_device_is_the_accelerator_if_there_is_one() -> None:
    assert (device() == torch.device("cpu")) == (not has_gpu())


def test_recipes_are_values() -> None:
    assert replace(Recipe(), steps=3) == Recipe(steps=3) != Recipe(steps=4)
