"""Tensors and JSON on disk: read with errors that name the file, written beside and renamed. No code is executed."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file


class CheckpointError(ValueError):
    """A checkpoint folder that cannot be opened. The message names the file and what was expected."""


def put(module: torch.nn.Module, tensors: dict[str, torch.Tensor], source: Path) -> None:
    """Loads tensors into a module. Raises CheckpointError naming `source` and the tensors that are missing or do not
    fit."""
    own = module.state_dict()
    check_fit({k: tuple(v.shape) for k, v in own.items()}, {k: tuple(v.shape) for k, v in tensors.items()}, source)
    module.load_state_dict(tensors, assign=True)  # in the precision of the file


def check_fit(own: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], source: Path) -> None:
    """Raises CheckpointError unless names and shapes of the tensors `found` in `source` are those of one's `own`."""
    missing, extra = sorted(own.keys() - found.keys()), sorted(found.keys() - own.keys())
    wrong = [f"{k} {found[k]} for {shape}" for k, shape in own.items() if k in found and found[k] != shape]
    for what, names in (("misses", missing), ("has unexpected", extra), ("has the wrong shape for", wrong)):
        if names:
            raise CheckpointError(
                f"{source} {what} {len(names)} tensors, e.g. {', '.join(names[:3])}; is it from another model?"
            )


def save_tensors(tensors: dict[str, torch.Tensor], path: Path, notes: dict[str, str] | None = None) -> None:
    """Writes a safetensors file beside and renames it, so that `path` is never half-written."""
    part = path.with_name(path.name + ".part")
    # Tensors that share memory are stored twice rather than refused.
    save_file(
        {k: v.clone() if _shares(v, tensors, k) else v.contiguous() for k, v in tensors.items()}, part, metadata=notes
    )
    part.chmod(0o666 & ~_umask())  # safetensors writes for the owner alone
    os.replace(part, path)


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Reads a safetensors file. Raises CheckpointError when it is missing or broken."""
    if not path.is_file():
        raise CheckpointError(f"{path}: the file is missing; the folder is not a complete checkpoint")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path}: broken ({error}); copy it again") from error


def write_json(content: Any, path: Path) -> None:
    """Writes JSON beside and renames it."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, path)


def read_json(path: Path) -> Any:
    """Reads JSON. Raises CheckpointError when the file is missing or broken, with the line."""
    if not path.is_file():
        raise CheckpointError(f"{path}: the file is missing; the folder is not a complete checkpoint")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{path} line {error.lineno}: not JSON ({error.msg})") from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path}: not JSON ({error})") from error


def _shares(tensor: torch.Tensor, tensors: dict[str, torch.Tensor], key: str) -> bool:
    place = tensor.data_ptr()
    return tensor.numel() > 0 and any(place == v.data_ptr() for k, v in tensors.items() if k < key)


def _umask() -> int:
    """The process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
