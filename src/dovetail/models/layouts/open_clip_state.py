"""The tensors of one file, safetensors or pickled, however the training that wrote it wrapped them. Nothing is
executed: of pickles only tensors and plain values are read, and TorchScript archives, which hold code, are refused."""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dovetail.models.files import CheckpointError, load_tensors

HELD_UNDER = ("state_dict", "state_dict_ema")  # as open_clip's training, and timm's, call it; the first one found
WRAPPERS = ("module.", "_orig_mod.")  # of DistributedDataParallel and torch.compile


def tensors_in(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file by its name, without the prefixes of wrappers.

    Raises CheckpointError when the file is missing, broken, a TorchScript archive or holds no tensors by name.
    """
    if path.suffix == ".safetensors":
        return bare(load_tensors(path))
    if not path.is_file():
        raise CheckpointError(f"{path}: the file is missing; the folder is not a complete checkpoint")
    if _is_script(path):
        raise CheckpointError(
            f"{path}: a TorchScript archive, which holds code that would be executed. If you trust it, save its "
            f"tensors once: torch.save(torch.jit.load({path.name!r}, map_location='cpu').state_dict(), 'tensors.pt')"
        )
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: holds more than tensors and plain values, or is no file of torch ({_first(error)}); save the "
            "state_dict alone"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path}: broken ({_first(error)}); copy it again") from error
    return bare(_by_name(held, path))


def bare(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors without the prefixes of wrappers, which all or none of them have."""
    for prefix in WRAPPERS:
        if tensors and all(name.startswith(prefix) for name in tensors):
            return bare({name.removeprefix(prefix): value for name, value in tensors.items()})
    return dict(tensors)


def _by_name(held: Any, path: Path) -> dict[str, Tensor]:
    inner = next((held[name] for name in HELD_UNDER if name in held), held) if isinstance(held, Mapping) else None
    if not isinstance(inner, Mapping) or not any(isinstance(value, Tensor) for value in inner.values()):
        raise CheckpointError(f"{path}: holds no tensors by name, neither itself nor under {' or '.join(HELD_UNDER)}")
    return {str(name): value for name, value in inner.items() if isinstance(value, Tensor)}


def _is_script(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") or "/code/" in name for name in archive.namelist())


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
