"""The weights of a transformers folder: one safetensors file, several with an index, or pickled ones that are read
without executing anything."""

import pickle
from pathlib import Path

import torch
from torch import Tensor

from dovetail.models.files import CheckpointError, load_tensors, read_json

FILES = ("model.safetensors", "pytorch_model.bin")


def weights_of(folder: Path) -> tuple[dict[str, Tensor], Path]:
    """All tensors by their names, in the precision they are stored in, and the file that they or their index are in.

    Raises CheckpointError when there is no such file, or one is missing, broken or holds more than tensors.
    """
    for name in FILES:
        if (folder / name).is_file():
            return _read(folder / name), folder / name
        index = folder / f"{name}.index.json"
        if index.is_file():
            return {k: v for part in _parts(index) for k, v in _read(part).items()}, index
    raise CheckpointError(
        f"{folder}: has neither {' nor '.join(FILES)}, whole or with an .index.json; the folder is not a complete "
        "checkpoint"
    )


def _parts(index: Path) -> list[Path]:
    """The files that an index names, each once."""
    held = read_json(index)
    places = held.get("weight_map") if isinstance(held, dict) else None
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise CheckpointError(f"{index}: has no weight_map of names to files; copy it again")
    names = sorted(set(places.values()))
    if strange := [name for name in names if Path(name).name != name]:
        raise CheckpointError(f"{index}: {strange[0]!r} is no name of a file in its folder")
    return [index.with_name(name) for name in names]


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        return load_tensors(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: the file is missing; the folder is not a complete checkpoint")
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: broken, or holds more than tensors, and nothing else is unpickled") from error
    except Exception as error:  # it raises anything on files of another kind
        raise CheckpointError(f"{path}: broken ({error}); copy it again") from error
    if not isinstance(held, dict) or not all(isinstance(v, Tensor) for v in held.values()):
        raise CheckpointError(f"{path}: holds something else than tensors by their names")
    return held
