"""What a run needs to go on."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from dovetail.models.pretrained import CheckpointError
from dovetail.training.checkpoint import State, load_checkpoint, newest, save_checkpoint
from dovetail.training.ema import EMA
from dovetail.training.optimizer import adamw
from dovetail.training.settings import Settings


class _Run:
    """A small module that is trained a few steps on numbers that follow from the step."""

    def __init__(self, width: int = 4) -> None:
        self.model = nn.Sequential(nn.Linear(width, 5), nn.LayerNorm(5), nn.Linear(5, 1))
        self.optimizer = adamw(self.model, Settings(learning_rate=0.01))
        self.ema = EMA(self.model, 0.9)

    def step(self, number: int) -> float:
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(number))
        loss = self.model(x).square().mean()
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.ema.update(self.model, number)
        return loss.item()

    def save(self, folder: Path, state: State) -> None:
        save_checkpoint(folder, self.model, self.optimizer, self.ema, state)

    def load(self, folder: Path) -> State:
        return load_checkpoint(folder, self.model, self.optimizer, self.ema)


def test_goes_on_bit_for_bit(tmp_path: Path) -> None:
    first = _Run()
    for number in range(1, 4):
        first.step(number)
    state = State(step=3, consumed=7, images=48, seconds=1.25, evaluated=2, best=31.5, best_step=2)
    first.save(tmp_path, state)
    second = _Run()
    assert second.load(tmp_path / "step-00000003") == state
    assert [first.step(n) for n in range(4, 9)] == [second.step(n) for n in range(4, 9)]
    for mine, theirs in zip(first.ema.average.parameters(), second.ema.average.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_only_the_last_is_kept_and_nothing_is_pickled(tmp_path: Path) -> None:
    run = _Run()
    for number in (1, 2, 3):
        run.step(number)
        run.save(tmp_path, State(step=number))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003"]
    held = {path.name for path in (tmp_path / "step-00000003").iterdir()}
    assert held == {"task.safetensors", "optimizer.safetensors", "ema.safetensors", "state.json"}
    for path in (tmp_path / "step-00000003").glob("*.safetensors"):
        length = int.from_bytes(path.read_bytes()[:8], "little")
        assert json.loads(path.read_bytes()[8 : 8 + length])  # a header of JSON, then numbers
    assert json.loads((tmp_path / "step-00000003" / "state.json").read_text())["step"] == 3


def test_what_a_kill_leaves_is_passed_over(tmp_path: Path) -> None:
    run = _Run()
    run.step(1)
    run.save(tmp_path, State(step=1))
    part = tmp_path / "part-00000002"  # the next one, cut short
    part.mkdir()
    (part / "task.safetensors").write_bytes(b"half")
    assert newest(tmp_path) == tmp_path / "step-00000001"
    run.step(2)
    run.save(tmp_path, State(step=2))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002"]
    assert _Run().load(tmp_path / "step-00000002").step == 2


def test_the_same_step_twice_keeps_the_first(tmp_path: Path) -> None:
    run = _Run()
    run.step(1)
    run.save(tmp_path, State(step=1, images=5))
    run.save(tmp_path, State(step=1, images=6))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    assert run.load(tmp_path / "step-00000001").images == 5


def test_none_yet(tmp_path: Path) -> None:
    assert newest(tmp_path / "checkpoints") is None


@pytest.mark.parametrize("name", ["task.safetensors", "optimizer.safetensors", "ema.safetensors", "state.json"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    run = _Run()
    run.step(1)
    run.save(tmp_path, State(step=1))
    (tmp_path / "step-00000001" / name).unlink()
    with pytest.raises(CheckpointError, match=rf"{name}: the file is missing"):
        run.load(tmp_path / "step-00000001")


def test_another_model_is_refused(tmp_path: Path) -> None:
    run = _Run()
    run.step(1)
    run.save(tmp_path, State(step=1))
    with pytest.raises(CheckpointError, match=r"task.safetensors has the wrong shape for 1 tensors, e.g. 0.weight"):
        _Run(width=3).load(tmp_path / "step-00000001")


def test_a_state_of_another_version_is_refused(tmp_path: Path) -> None:
    run = _Run()
    run.save(tmp_path, State(step=1))
    (tmp_path / "step-00000001" / "state.json").write_text('{"step": 1, "epoch": 2}')
    with pytest.raises(CheckpointError, match="not a training state of this version"):
        run.load(tmp_path / "step-00000001")
