"""What a run needs to go on."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from dovetail.models.files import CheckpointError
from dovetail.training.checkpoint import State, load_checkpoint, newest, save_checkpoint
from dovetail.training.ema import EMA
from dovetail.training.optimizer import adamw
from dovetail.training.settings import Settings
from tests.processes import run as in_processes

SHARD = "shard-00001-model-00001-of-00001.safetensors"


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
    assert all(torch.equal(mine, second.ema.average[name]) for name, mine in first.ema.average.items())


def test_tied_weights_and_other_orders_in_memory_are_kept(tmp_path: Path) -> None:
    def made() -> nn.Module:
        model = nn.Sequential(nn.Conv2d(3, 4, 2), nn.Flatten(), nn.Linear(4, 4), nn.Linear(4, 4))
        model[3].weight = model[2].weight
        return model.to(memory_format=torch.channels_last)

    def losses(model: nn.Module, optimizer: torch.optim.Optimizer, seeds: range) -> list[float]:
        found = []
        for seed in seeds:
            x = torch.randn(8, 3, 2, 2, generator=torch.Generator().manual_seed(seed))
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            found.append(loss.item())
        return found

    first, second = made(), made()
    optimizers = [adamw(model, Settings(learning_rate=0.01)) for model in (first, second)]
    losses(first, optimizers[0], range(3))
    save_checkpoint(tmp_path, first, optimizers[0], None, State(step=3))
    load_checkpoint(tmp_path / "step-00000003", second, optimizers[1], None)
    assert second[2].weight is second[3].weight
    assert second[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert losses(first, optimizers[0], range(3, 9)) == losses(second, optimizers[1], range(3, 9))


def test_only_the_last_is_kept_and_nothing_is_pickled(tmp_path: Path) -> None:
    run = _Run()
    for number in (1, 2, 3):
        run.step(number)
        run.save(tmp_path, State(step=number))
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003"]
    held = {path.name for path in (tmp_path / "step-00000003").iterdir()}
    assert held == {SHARD, "state.json"}
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
    (part / SHARD).write_bytes(b"half")
    (part / SHARD.replace("00001-model", "00002-model")).write_bytes(b"half")  # of a second process that is no more
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


@pytest.mark.parametrize("name", [SHARD, "state.json"])
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
    with pytest.raises(CheckpointError, match=r"step-00000001 has the wrong shape for .* average/0.weight"):
        _Run(width=3).load(tmp_path / "step-00000001")


def test_a_state_of_another_version_is_refused(tmp_path: Path) -> None:
    run = _Run()
    run.save(tmp_path, State(step=1))
    (tmp_path / "step-00000001" / "state.json").write_text('{"step": 1, "epoch": 2}')
    with pytest.raises(CheckpointError, match="not a training state of this version"):
        run.load(tmp_path / "step-00000001")


def test_a_broken_shard_is_named(tmp_path: Path) -> None:
    run = _Run()
    run.step(1)
    run.save(tmp_path, State(step=1))
    path = tmp_path / "step-00000001" / SHARD
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="step-00000001: a shard is broken .*; copy it again"):
        run.load(tmp_path / "step-00000001")


def test_an_average_that_was_not_kept_is_missed(tmp_path: Path) -> None:
    run = _Run()
    run.step(1)
    save_checkpoint(tmp_path, run.model, run.optimizer, None, State(step=1))
    with pytest.raises(CheckpointError, match="misses 6 tensors, e.g. average/0.bias"):
        run.load(tmp_path / "step-00000001")


def _saves(rank: int, folder: Path) -> None:
    _Run().save(folder / str(rank), State(step=1))


def test_a_folder_that_not_all_processes_see_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"CheckpointError(.|\n)*process 1 does not see it; put the run where all"):
        in_processes(_saves, 2, tmp_path)
