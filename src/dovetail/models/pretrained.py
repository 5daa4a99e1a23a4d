"""Models on disk: a folder with weights (safetensors), configuration, tokenizer and preprocessing. No code is executed.

model.safetensors   config.json   preprocessing.json   tokenizer.json   tokenizer_config.json
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dovetail.catalogue import CatalogueError, configuration, rebuild
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.text import Tokenizer
from dovetail.models.dual_encoder import DualEncoder

FORMAT = 1
WEIGHTS, CONFIG, PREPROCESSING = "model.safetensors", "config.json", "preprocessing.json"


class CheckpointError(ValueError):
    """A checkpoint folder that cannot be opened. The message names the file and what was expected."""


def save(model: DualEncoder, folder: str | Path) -> Path:
    """Writes the model into `folder` (made if missing); each file is written beside and renamed. Returns the folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "format": f"dovetail-{FORMAT}",
        "model": "dual_encoder",
        "image": configuration(model.image),
        "text": configuration(model.text),
        "similarity": configuration(model.alike),
        "embed_dim": model.embed_dim,
        "has_bias": model.bias is not None,
    }
    tensors = {k: v.detach().cpu() for k, v in model.state_dict().items()}
    save_tensors(tensors, folder / WEIGHTS)
    model.tokenizer.save(folder)
    write_json(model.preprocessing.to_json(), folder / PREPROCESSING)
    write_json(config, folder / CONFIG)
    return folder


def load(folder: str | Path, device: str | torch.device = "cpu") -> DualEncoder:
    """Opens a run folder or a checkpoint folder as a model in evaluation mode.

    Raises CheckpointError when a file is missing or does not fit the others.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(
            f"{folder}: no such folder; expected a run or checkpoint folder with {CONFIG} and {WEIGHTS}"
        )
    config = read_json(folder / CONFIG)
    if not isinstance(config, dict) or config.get("format") != f"dovetail-{FORMAT}":
        found = config.get("format") if isinstance(config, dict) else None
        raise CheckpointError(f"{folder / CONFIG}: the format is {found!r}, this version reads 'dovetail-{FORMAT}'")
    try:
        model = DualEncoder(
            image=rebuild(config["image"]),
            text=rebuild(config["text"]),
            embed_dim=config["embed_dim"],
            preprocessing=Preprocessing.from_json(read_json(folder / PREPROCESSING)),
            tokenizer=Tokenizer.load(folder),
            similarity=rebuild(config["similarity"]),
            bias=0.0 if config["has_bias"] else None,
        )
    except KeyError as error:
        raise CheckpointError(f"{folder / CONFIG}: the entry {error} is missing") from error
    except CatalogueError as error:
        raise CheckpointError(f"{folder / CONFIG}: {error}") from error
    put(model, load_tensors(folder / WEIGHTS), folder / WEIGHTS)
    return model.to(device).eval()


def put(module: torch.nn.Module, tensors: dict[str, torch.Tensor], source: Path) -> None:
    """Loads tensors into a module. Raises CheckpointError naming `source` and the tensors that are missing or do not
    fit."""
    own = module.state_dict()
    check_fit({k: tuple(v.shape) for k, v in own.items()}, {k: tuple(v.shape) for k, v in tensors.items()}, source)
    module.load_state_dict(tensors)


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
