"""Everything a run needs to go on as if it had never stopped, written so that a kill at any moment leaves one whole.

    checkpoints/step-00001200/   task.safetensors   optimizer.safetensors   ema.safetensors   state.json

A checkpoint is written under a temporary name and renamed once complete; the one before is removed after that. Nothing
in it is executed when it is read. Random numbers need no saving: every step seeds its own from (seed, step).
"""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from dovetail.models.pretrained import CheckpointError, load_tensors, put, read_json, save_tensors, write_json
from dovetail.training.ema import EMA

TASK, OPTIMIZER, AVERAGE, STATE = "task.safetensors", "optimizer.safetensors", "ema.safetensors", "state.json"


@dataclass
class State:
    """How far a run is."""

    step: int = 0  # optimiser steps made
    consumed: int = 0  # micro-batches taken from the loader
    images: int = 0  # images seen
    seconds: float = 0.0  # of training, over all sessions
    evaluated: int = 0  # evaluations made
    best: float | None = None  # best validation score
    best_step: int = 0
    skipped: dict[str, str] = field(default_factory=dict)  # images that could not be used: name -> cause


def save_checkpoint(
    folder: Path, task: nn.Module, optimizer: torch.optim.Optimizer, ema: EMA | None, state: State
) -> None:
    """Writes one checkpoint under `folder` and removes older ones."""
    final = folder / f"step-{state.step:08d}"
    part = folder / f"part-{state.step:08d}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    save_tensors({k: v.detach().cpu() for k, v in task.state_dict().items()}, part / TASK)
    save_tensors(_optimizer_tensors(optimizer), part / OPTIMIZER)
    if ema is not None:
        save_tensors({k: v.detach().cpu() for k, v in ema.average.state_dict().items()}, part / AVERAGE)
    write_json(vars(state), part / STATE)
    if final.exists():
        shutil.rmtree(part)
        return
    part.rename(final)
    for old in folder.iterdir():
        if old.name.startswith(("step-", "part-")) and old != final:
            shutil.rmtree(old, ignore_errors=True)


def newest(folder: Path) -> Path | None:
    """The newest whole checkpoint under `folder`; None if there is none."""
    return max(folder.glob("step-*"), default=None)


def load_checkpoint(path: Path, task: nn.Module, optimizer: torch.optim.Optimizer, ema: EMA | None) -> State:
    """Puts a checkpoint back. Raises CheckpointError when it is incomplete or of another configuration."""
    put(task, load_tensors(path / TASK), path / TASK)
    _restore_optimizer(optimizer, load_tensors(path / OPTIMIZER), path / OPTIMIZER)
    if ema is not None:
        put(ema.average, load_tensors(path / AVERAGE), path / AVERAGE)
    try:
        return State(**read_json(path / STATE))
    except TypeError as error:
        raise CheckpointError(f"{path / STATE}: not a training state of this version ({error})") from error


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    held = optimizer.state_dict()["state"]
    return {f"{i}.{k}": v.detach().cpu() for i, values in held.items() for k, v in values.items()}


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], source: Path) -> None:
    content = optimizer.state_dict()
    numbered = dict(zip((i for g in content["param_groups"] for i in g["params"]), _parameters(optimizer), strict=True))
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        owner = numbered.get(int(index))
        if owner is None or (tensor.ndim and tensor.shape != owner.shape):
            raise CheckpointError(f"{source}: {name} {tuple(tensor.shape)} fits no parameter; is it from another run?")
        # The order of a tensor's axes in memory is not stored; the fused update needs that of the parameter.
        state.setdefault(int(index), {})[key] = torch.empty_like(owner).copy_(tensor) if tensor.ndim else tensor
    optimizer.load_state_dict({"state": state, "param_groups": content["param_groups"]})


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]
