"""One file with a CLIP's tensors: a checkpoint of open_clip's training, or OpenAI's layout.

epoch_32.pt (.pth, .bin, .ckpt, .safetensors), with or without a configuration beside it

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021; Ilharco et al.,
"OpenCLIP", 2021. The configuration is a JSON file with open_clip's `model_cfg`, called like the file, called
open_clip_config.json, or the only one in its folder. Without one the architecture is read from the tensors' shapes, and
what shapes do not say is OpenAI's: heads of 64 numbers, pooling at the class token and at the token of the highest id,
OpenAI's mean and standard deviation of pixels, CLIP's tokenizer. The activation is quick-GELU in OpenAI's own layout,
which also holds `input_resolution`, `context_length` and `vocab_size`, or has maps in half and norms in full precision;
in any other it is GELU, as open_clip trains unless told otherwise. Where those three numbers do not tell, a warning
says what was assumed.
"""

import math
import warnings
from pathlib import Path
from typing import Any

import torch

from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.files import CheckpointError, read_json
from dovetail.models.layouts.open_clip import CONFIG, assembled
from dovetail.models.layouts.open_clip_resnet import resnet_inferred
from dovetail.models.layouts.open_clip_side import Tensors, ratio_of
from dovetail.models.layouts.open_clip_state import tensors_in

WHAT = "a file of open_clip's training or with OpenAI's CLIP (.pt, .pth, .bin, .ckpt, .safetensors)"
SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
OPENAI = ("input_resolution", "context_length", "vocab_size")
HEAD = 64  # numbers of a head in every CLIP of OpenAI's
LARGEST = 1_000_000  # bytes of a configuration; what is larger is something else
ASKED = f"put its {CONFIG}, or another JSON file with open_clip's model_cfg, beside it"


def recognises(place: Path) -> bool:
    """A file with a usual ending of torch's or safetensors' files."""
    return place.is_file() and place.suffix in SUFFIXES


def read(place: Path) -> DualEncoder:
    """The model in a file. Raises CheckpointError when it is broken or no CLIP, or when its architecture cannot be told
    without a configuration."""
    tensors = tensors_in(place)
    beside = config_beside(place)
    if beside is not None:
        held = read_json(beside)
        return assembled(held.get("model_cfg", held), held.get("preprocess_cfg") or {}, tensors, place, beside)
    told = all(name in tensors for name in OPENAI)
    cfg = inferred(tensors, place) | {"quick_gelu": told or _half_but_norms(tensors)}
    if not told:
        act = "quick-GELU" if cfg["quick_gelu"] else "GELU"
        warnings.warn(
            f"{place}: without a configuration beside it taken for a model with {act}, heads of {HEAD} numbers and "
            f"CLIP's pooling, pixels and tokenizer; if it is another (OpenAI's weights have quick-GELU), {ASKED}",
            stacklevel=3,
        )
    return assembled(cfg, {}, tensors, place, place)


def config_beside(place: Path) -> Path | None:
    """The configuration that goes with a file, if there is one."""
    named = [place.with_suffix(".json"), place.with_name(CONFIG)]
    found = [path for path in named if path.is_file() and _is_config(path)]
    others = [p for p in sorted(place.parent.glob("*.json")) if p.stat().st_size < LARGEST and _is_config(p)]
    return found[0] if found else others[0] if len(others) == 1 else None


def inferred(tensors: Tensors, place: Path) -> dict[str, Any]:
    """The `model_cfg` that the shapes of tensors tell. Raises CheckpointError for towers other than CLIP's own."""
    shapes = {name.removeprefix("text."): tuple(value.shape) for name, value in tensors.items()}
    resnet = "visual.attnpool.positional_embedding" in shapes
    wanted = ("visual.attnpool.c_proj.weight",) if resnet else ("visual.positional_embedding", "visual.proj")
    for name in ("visual.conv1.weight", *wanted, "token_embedding.weight"):
        if name not in shapes:
            raise CheckpointError(f"{place}: has no tensor {name}, so its architecture cannot be told; {ASKED}")
    return {
        "embed_dim": shapes["visual.attnpool.c_proj.weight"][0] if resnet else shapes["visual.proj"][1],
        "vision_cfg": resnet_inferred(shapes) if resnet else _vision(shapes, place),
        "text_cfg": _text(shapes, place),
    } | ({"init_logit_bias": 0.0} if "logit_bias" in shapes else {})


def _vision(shapes: dict[str, tuple[int, ...]], place: Path) -> dict[str, Any]:
    width, _, patch, _ = shapes["visual.conv1.weight"]
    side = math.isqrt(shapes["visual.positional_embedding"][0] - 1)
    if side * side + 1 != shapes["visual.positional_embedding"][0]:
        raise CheckpointError(f"{place}: the positions of visual.positional_embedding form no square; {ASKED}")
    cfg = _transformer(shapes, "visual.", width, place) | {"image_size": side * patch, "patch_size": patch}
    cfg |= {"head_width": width // cfg.pop("heads")}
    cfg |= {} if "visual.ln_pre.weight" in shapes else {"no_ln_pre": True}
    if "visual.attn_pool.query" in shapes:
        cfg |= {"attentional_pool": True, "attn_pooler_queries": shapes["visual.attn_pool.query"][0]}
    return cfg


def _text(shapes: dict[str, tuple[int, ...]], place: Path) -> dict[str, Any]:
    vocabulary, width = shapes["token_embedding.weight"]
    last = "cls_emb" in shapes  # which has a position of its own
    cfg = _transformer(shapes, "", width, place)
    cfg |= {"context_length": shapes["positional_embedding"][0] - last, "vocab_size": vocabulary}
    cfg |= {"embed_cls": True} if last else {}
    cfg |= {"proj_bias": True} if "text_projection.bias" in shapes else {}
    return cfg | ({} if any(name.startswith("text_projection") for name in shapes) else {"proj_type": "none"})


def _transformer(shapes: dict[str, tuple[int, ...]], prefix: str, width: int, place: Path) -> dict[str, Any]:
    first = f"{prefix}transformer.resblocks."
    depth = len({name.removeprefix(first).partition(".")[0] for name in shapes if name.startswith(first)})
    if width % HEAD or not depth:
        raise CheckpointError(f"{place}: {depth} blocks of width {width} tell no number of heads of {HEAD}; {ASKED}")
    hidden = shapes.get(f"{first}0.mlp.c_fc.weight", (4 * width,))[0]
    cfg: dict[str, Any] = {"width": width, "layers": depth, "heads": width // HEAD}
    cfg["mlp_ratio"] = ratio_of(width, hidden, 4.0)
    return cfg | ({"ls_init_value": 1e-5} if f"{first}0.ls_1.gamma" in shapes else {})


def _half_but_norms(tensors: Tensors) -> bool:
    """Whether precisions are those that OpenAI's code leaves: maps in half, norms in full precision."""
    maps, norm = (
        tensors["visual.conv1.weight"].dtype,
        tensors.get("ln_final.weight", tensors["visual.conv1.weight"]).dtype,
    )
    return maps == torch.float16 and norm == torch.float32


def _is_config(path: Path) -> bool:
    try:
        held = read_json(path)
    except CheckpointError:
        return False
    inner = held.get("model_cfg", held) if isinstance(held, dict) else None
    return isinstance(inner, dict) and {"embed_dim", "vision_cfg", "text_cfg"} <= inner.keys()
