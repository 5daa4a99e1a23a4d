"""Everything a run needs to go on as if it had never stopped, written so that a kill at any moment leaves one whole.

    checkpoints/step-00001200/   shard-00001-model-00001-of-00001.safetensors   shard-00002-...   state.json

Every process writes one shard: what it alone holds of the task, the optimiser's state and the average, with its place
in the whole in the file's header; what all hold is in the first. Any number of processes reads what it needs of them.

A checkpoint is written under a temporary name and renamed once complete; the one before is removed after that. The
folder must be one that all processes see. Nothing in it is executed when it is read. Random numbers need no saving:
every step seeds its own from (seed, step).
"""

import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.tensor import DTensor

from dovetail.models.files import CheckpointError, check_fit, read_json, write_json
from dovetail.ops.distributed import this_process, wait_for_all
from dovetail.training.ema import EMA
from dovetail.training.sharding import local

STATE, SHARDS = "state.json", "*.safetensors"


@dataclass
class State:
    """How far a run is."""

    stage: int = 0  # of those that the objective has
    step: int = 0  # optimiser steps made, over all stages
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
    """Writes one checkpoint under `folder` and removes older ones. All processes must call it together."""
    final = folder / f"step-{state.step:08d}"
    part = folder / f"part-{state.step:08d}"
    if final.exists():
        return
    main = this_process() == 0
    if main:
        shutil.rmtree(part, ignore_errors=True)  # of a kill, perhaps with more processes
        part.mkdir(parents=True)
    wait_for_all()
    if not part.is_dir():
        raise CheckpointError(f"{part}: process {this_process()} does not see it; put the run where all processes do")
    tensors = {**_model(task, ema), **_optimizer(task, optimizer)}
    mine = _apart({name: x for name, x in tensors.items() if main or isinstance(x, DTensor)})
    writer = HuggingFaceStorageWriter(str(part), save_distributed=True)
    with _no_word_of_one_process():
        dcp.save(mine, storage_writer=writer)  # returns when all have written
    if main:
        shards = sorted(path.name for path in part.glob(SHARDS))
        write_json({"shards": shards, **vars(state)}, part / STATE)
        part.rename(final)
        for old in folder.iterdir():
            if old.name.startswith(("step-", "part-")) and old != final:
                shutil.rmtree(old, ignore_errors=True)
    wait_for_all()


def newest(folder: Path) -> Path | None:
    """The newest whole checkpoint under `folder`; None if there is none."""
    return max(folder.glob("step-*"), default=None)


def load_checkpoint(path: Path, task: nn.Module, optimizer: torch.optim.Optimizer, ema: EMA | None) -> State:
    """Puts a checkpoint back, in as many processes as there are now, all of which must call it together.

    Raises CheckpointError when it is incomplete or of another configuration.
    """
    state = progress(path)
    reader = HuggingFaceStorageReader(str(path))
    found = _found(reader, path)
    _make_room(task, optimizer, found)
    tensors = {**_model(task, ema), **_optimizer(task, optimizer)}
    check_fit({name: tuple(x.shape) for name, x in tensors.items()}, found, path)
    with _no_word_of_one_process():
        dcp.load(tensors, storage_reader=reader)  # into the tensors as they lie
    return state


@contextmanager
def _no_word_of_one_process() -> Iterator[None]:
    """The library warns of what a run without torchrun always is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield


def progress(path: Path) -> State:
    """How far a checkpoint is. Raises CheckpointError when it is incomplete."""
    content = read_json(path / STATE)
    try:
        shards = content.pop("shards")
        state = State(**content)
    except (AttributeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path / STATE}: not a training state of this version ({error})") from error
    for shard in shards:
        if not (path / shard).is_file():
            raise CheckpointError(f"{path / shard}: the file is missing; the folder is not a complete checkpoint")
    return state


def _found(reader: HuggingFaceStorageReader, path: Path) -> dict[str, tuple[int, ...]]:
    """The tensors, and their shapes, that the shards' headers say they hold together."""
    try:
        held = reader.read_metadata().state_dict_metadata
        return {name: tuple(x.size) for name, x in held.items() if isinstance(x, TensorStorageMetadata)}
    except SafetensorError as error:
        raise CheckpointError(f"{path}: a shard is broken ({error}); copy it again") from error


def _model(task: nn.Module, ema: EMA | None) -> dict[str, Tensor]:
    average = ema.average if ema is not None else {}
    return {
        **{f"task/{name}": x for name, x in task.state_dict().items()},
        **{f"average/{name}": x for name, x in average.items()},
    }


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as the format demands them: in order in memory, and no two in the same."""
    places, apart = set[int](), {}
    for name, x in tensors.items():
        packed = x if isinstance(x, DTensor) else x.contiguous()
        place = local(packed).data_ptr()
        apart[name] = packed.clone() if place in places else packed
        places.add(place)
    return apart


def _optimizer(task: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    return {
        f"optimizer/{key}/{name}": x
        for name, parameter in task.named_parameters()
        for key, x in optimizer.state.get(parameter, {}).items()
    }


def _make_room(task: nn.Module, optimizer: torch.optim.Optimizer, found: Mapping[str, tuple[int, ...]]) -> None:
    """Gives a fresh optimiser the state that was found: divided, and laid out in memory, as its parameters are."""
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    owners = {name: p for name, p in task.named_parameters() if id(p) in trained}
    for name, shape in found.items():
        kind, _, rest = name.partition("/")
        key, _, owner = rest.partition("/")
        if kind == "optimizer" and owner in owners:
            p = owners[owner].detach()
            optimizer.state[owners[owner]][key] = torch.empty_like(p) if shape else local(p).new_empty(())
