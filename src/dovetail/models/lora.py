"""Low-rank adaptation of both towers with peft: few numbers are trained, and the original can be had back.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2022.

    W x  becomes  W x + (alpha / r) B A x,    A (r in), B (out r), B = 0 at the start; W is frozen

Every linear map of the towers gets one, a fused map of queries, keys and values as a whole. The projections into the
shared space, the scale and the bias stay as they are, so that the adapter alone is what was learnt.
"""

import copy
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora.layer import MultiheadAttention
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.files import CheckpointError, load_tensors, read_json, save_tensors

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
NAME = "default"
PREFIX = "base_model.model."  # of every tensor in peft's files
TOWERS = ("image", "text")


def add_lora(
    model: DualEncoder,
    rank: int = 16,
    alpha: float | None = None,
    dropout: float = 0.0,
    parts: Sequence[str] = TOWERS,
) -> None:
    """Freezes the model and gives it trainable low-rank maps, in place. alpha: the factor's numerator; None: the rank.
    parts: of the model, which get some.

    Raises ValueError for parts without any linear map.
    """
    names = linear_maps(model, parts)
    if not names:
        raise ValueError(f"no linear map that LoRA could adapt is in {' or '.join(parts)}; tune another part")
    config = LoraConfig(
        r=rank, lora_alpha=int(rank if alpha is None else alpha), lora_dropout=dropout, target_modules=names
    )
    inject_adapter_in_model(config, model, NAME)


def linear_maps(model: DualEncoder, parts: Sequence[str] = TOWERS) -> list[str]:
    """The names of the linear maps in these parts. An attention layer of torch, whose maps are used without being
    called, counts as one."""
    whole = [n for n, m in model.named_modules() if isinstance(m, nn.MultiheadAttention)]
    inside = tuple(f"{n}." for n in whole)
    found = [n for n, m in model.named_modules() if isinstance(m, nn.Linear) and not n.startswith(inside)]
    return sorted(n for n in whole + found if n.startswith(tuple(f"{part}." for part in parts)))


def has_lora(model: nn.Module) -> bool:
    """Whether low-rank maps are in the model."""
    return any(isinstance(m, BaseTunerLayer) for m in model.modules())


def merged(model: DualEncoder) -> DualEncoder:
    """A copy of the model in which the low-rank maps are added to those they adapt."""
    made = copy.deepcopy(model)
    merge(made)
    return made


def merge(model: DualEncoder) -> None:
    """Adds the low-rank maps to those they adapt, in place; all of the model may learn again."""
    layers = {n: m for n, m in model.named_modules() if isinstance(m, BaseTunerLayer)}
    for name, layer in layers.items():
        if any(name.startswith(f"{other}.") for other in layers):  # within an attention layer, which sees to it
            continue
        model.set_submodule(name, _merged(layer))
    for held in ("peft_config", "active_adapter"):
        model.__dict__.pop(held, None)
    model.requires_grad_(True)


def _merged(layer: BaseTunerLayer) -> nn.Module:
    if isinstance(layer, MultiheadAttention):
        whole: nn.Module = layer.unload_and_optionally_merge_module(True, False, None)
        return whole
    layer.merge()
    return layer.get_base_layer()


def write_adapter(model: DualEncoder, folder: Path, base: str) -> Path:
    """Writes the low-rank maps as peft does, with which `PeftModel.from_pretrained(model, folder)` opens them. base:
    where the model that they adapt comes from."""
    folder.mkdir(parents=True, exist_ok=True)
    held = {k: v for k, v in model.state_dict().items() if ".lora_" in k}
    tensors = {PREFIX + k.replace(f".{NAME}.", ".").removesuffix(f".{NAME}"): v.cpu() for k, v in held.items()}
    save_tensors(tensors, folder / WEIGHTS)
    config: LoraConfig = copy.copy(getattr(model, "peft_config")[NAME])  # noqa: B009 (nn.Module types it a tensor)
    config.base_model_name_or_path, config.inference_mode = base, True
    part = folder / "part"
    config.save_pretrained(str(part))
    os.replace(part / CONFIG, folder / CONFIG)
    part.rmdir()
    return folder


def base_of(folder: Path) -> str:
    """Where the model that an adapter adapts comes from. Raises CheckpointError when the adapter does not say."""
    base = read_json(folder / CONFIG).get("base_model_name_or_path")
    if not isinstance(base, str):
        raise CheckpointError(f"{folder / CONFIG}: base_model_name_or_path is {base!r}; write there what it adapts")
    return base


def adapted(model: DualEncoder, folder: Path) -> DualEncoder:
    """A copy of the model with the adapter in a folder merged into it. Raises CheckpointError when they do not fit."""
    config = LoraConfig.from_pretrained(str(folder))
    config.inference_mode = False
    made = copy.deepcopy(model)
    try:
        inject_adapter_in_model(config, made, NAME)
    except ValueError as error:
        raise CheckpointError(f"{folder / CONFIG}: does not fit the model it is put into ({error})") from error
    tensors = {k.removeprefix(PREFIX): v for k, v in load_tensors(folder / WEIGHTS).items()}
    own = made.state_dict()
    with torch.no_grad():
        for name, tensor in own.items():
            if ".lora_" in name:
                plain = name.replace(f".{NAME}.", ".").removesuffix(f".{NAME}")
                if plain not in tensors or tensors[plain].shape != tensor.shape:
                    raise CheckpointError(f"{folder / WEIGHTS}: has no {plain} of shape {tuple(tensor.shape)}")
                tensor.copy_(tensors[plain])
    return merged(made)
