"""open_clip's towers from other libraries: timm's image models, with SigLIP's among them as our own tower, and
transformers' text models; from `vision_cfg` and `text_cfg` with the tensors to our encoders, and timm's back."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from torch import nn

from dovetail.models.clip_weights import as_convolution
from dovetail.models.files import CheckpointError, read_json
from dovetail.models.layouts.open_clip_side import Linear, Side, Tensors, chosen, square
from dovetail.models.layouts.open_clip_towers import TEXT as NATIVE_TEXT
from dovetail.models.layouts.open_clip_towers import VISION as NATIVE_VISION
from dovetail.models.renaming import Renaming, under

VISION: dict[str, Any] = {
    "image_size": 224,
    "timm_model_name": None,
    "timm_pool": "avg",
    "timm_proj": "linear",
    "timm_proj_bias": False,
    "timm_model_pretrained": False,  # of training alone, as what follows
    "timm_drop": 0.0,
    "timm_drop_path": None,
    "patch_dropout": 0.0,
    "output_tokens": False,
}
TEXT: dict[str, Any] = {
    "context_length": 77,
    "hf_model_name": None,
    "hf_proj_type": "mlp",
    "hf_pooler_type": "mean_pooler",
    "hf_tokenizer_name": None,
    "tokenizer_mode": None,
    "tokenizer_kwargs": None,
    "hf_model_pretrained": True,  # of training alone, as what follows
    "output_tokens": False,
    "vocab_size": None,  # the model's own is looked at, here and below
    "width": None,
    "heads": None,
    "layers": None,
}
# open_clip's own max_pooler stops with an error; here it is the maximum over a text's real tokens.
POOLERS = {"mean_pooler": "mean", "max_pooler": "max", "cls_pooler": "pooler", "cls_last_hidden_state_pooler": "first"}
USUAL = {"bert": "cls_pooler", "m2m_100": "cls_pooler"}  # of open_clip for a kind of model; else the mean
SIGLIP = Renaming(
    (
        ("patch_embed.proj.", "patches."),
        ("pos_embed", "positions"),
        ("norm.", "transformer.norm."),
        *under(
            "blocks.{}.",
            "transformer.blocks.{}.",
            {
                "norm1.": "norm_attention.",
                "attn.qkv.": "qkv.",
                "attn.proj.": "out.",
                "norm2.": "norm_mlp.",
                "mlp.fc1.": "up.",
                "mlp.fc2.": "down.",
            },
        ),
        *under(
            "attn_pool.",
            "pool.",
            {
                "latent": "probe",
                "q.": "query.",
                "kv.": "key_value.",
                "proj.": "out.",
                "norm.": "norm.",
                "mlp.fc1.": "up.",
                "mlp.fc2.": "down.",
            },
        ),
    )
)


def timm_side(given: Mapping[str, Any], tensors: Tensors) -> Side:
    """A model of timm's; `tensors` by their names without `visual.`. Raises CheckpointError for what the configuration
    asks for that is not supported."""
    cfg = chosen(_but(given, NATIVE_VISION, VISION), VISION, {}, "vision_cfg")
    name, pool, proj = cfg["timm_model_name"], cfg["timm_pool"], cfg["timm_proj"]
    size = square(cfg["image_size"], "vision_cfg: image_size")
    if pool in ("abs_attn", "rot_attn"):
        raise CheckpointError(f"vision_cfg: timm_pool = {pool!r} is not supported")
    trunk = {k.removeprefix("trunk."): v for k, v in tensors.items() if k.startswith("trunk.")}
    if proj == "none" and pool == "map" and "siglip" in name:
        return _siglip(name, size, trunk)
    options: dict[str, Any] = {"name": name, "size": size, "pool": None, "repool": None, "hidden": None, "out": None}
    if proj in ("linear", "mlp"):
        options["repool"] = pool or None
    else:
        options["pool"] = pool
    map_, inner = None, {f"body.{k}": v for k, v in trunk.items()}
    if not proj:  # timm's classifier is the map
        head = _classifier(name)
        map_ = Linear(*(inner.pop(f"body.{head}.{x}", None) for x in ("weight", "bias")))  # type: ignore[arg-type]
    elif proj == "linear":
        map_ = Linear(_taken(tensors, "head.proj.weight"), tensors.get("head.proj.bias"))
    elif proj == "mlp":
        map_ = Linear(_taken(tensors, "head.mlp.fc2.weight"), tensors.get("head.mlp.fc2.bias"))
        inner |= {f"head.up.{x}": _taken(tensors, f"head.mlp.fc1.{x}") for x in ("weight", "bias")}
        options["hidden"] = len(inner["head.up.weight"])
    elif proj != "none":
        raise CheckpointError(f"vision_cfg: timm_proj = {proj!r} is not supported")
    if map_ is not None and map_.weight is None:
        raise CheckpointError(
            f"the tensor visual.trunk.{_classifier(name)}.weight is missing; is it from another model?"
        )
    return Side("timm", options, inner, map_)


def timm_cfg(side: Side) -> tuple[dict[str, Any], Tensors]:
    """The counterpart of `timm_side`: the entries and the tensors without `visual.`. Raises CheckpointError for a model
    that open_clip makes otherwise."""
    if side.key == "siglip_vit":
        return _siglip_cfg(side)
    o = side.options
    trunk = {f"trunk.{k.removeprefix('body.')}": v for k, v in side.tensors.items() if k.startswith("body.")}
    cfg = {"timm_model_name": o["name"], "timm_model_pretrained": False, "image_size": o["size"]}
    if side.map is None:
        if o["repool"] is not None or o["hidden"] is not None or o["pool"] is None:
            raise CheckpointError("open_clip has no name for this pooling or head of a timm tower")
        return cfg | {"timm_pool": o["pool"], "timm_proj": "none"}, trunk
    if o["hidden"] is None and o["pool"] is not None:  # the map is timm's classifier
        head = f"trunk.{_classifier(o['name'])}"
        bias = side.map.bias
        if bias is None or o["repool"] is not None:
            raise CheckpointError("open_clip has no name for this pooling or head of a timm tower")
        return cfg | {"timm_pool": o["pool"], "timm_proj": None}, trunk | {
            f"{head}.weight": side.map.weight,
            f"{head}.bias": bias,
        }
    if o["pool"] is not None or (o["hidden"] is not None and o["hidden"] != 2 * len(side.map.weight)):
        raise CheckpointError("open_clip has no name for this pooling or head of a timm tower")
    last = "head.proj" if o["hidden"] is None else "head.mlp.fc2"
    found = trunk | {f"{last}.weight": side.map.weight}
    found |= {} if side.map.bias is None else {f"{last}.bias": side.map.bias}
    found |= {k.replace("head.up.", "head.mlp.fc1."): v for k, v in side.tensors.items() if k.startswith("head.up.")}
    kind = {"timm_proj": "linear" if o["hidden"] is None else "mlp", "timm_pool": o["repool"] or ""}
    return cfg | kind | ({} if side.map.bias is None else {"timm_proj_bias": True}), found


def hf_side(given: Mapping[str, Any], tensors: Tensors, place: Path) -> Side:
    """A text model of transformers'; `tensors` by their names without `text.`. Its configuration is looked for in the
    folder `place`, then on the hub. Raises CheckpointError for what is not there or not supported."""
    cfg = chosen(_but(given, NATIVE_TEXT, TEXT), TEXT, {}, "text_cfg")
    config = hf_config(cfg["hf_model_name"], place)
    kind = cfg["hf_pooler_type"] or USUAL.get(str(config.get("model_type")), "mean_pooler")
    if kind not in POOLERS:
        raise CheckpointError(f"text_cfg: hf_pooler_type = {kind!r} is not supported, {', '.join(POOLERS)} are")
    pool = POOLERS[kind]
    if pool == "pooler" and "transformer.pooler.dense.weight" not in tensors:
        pool = "first"  # as open_clip does where the model has no head of its own
    table = "transformer.embeddings.position_ids"  # in older files, but no weights
    inner = {k.replace("transformer.", "body.", 1): v for k, v in tensors.items() if k.startswith("transformer.")}
    inner.pop(table.replace("transformer.", "body.", 1), None)
    options: dict[str, Any] = {"config": config, "pool": pool, "hidden": None, "out": None}
    proj = cfg["hf_proj_type"]
    if proj is None:
        return Side("hf_text", options, inner)
    if proj == "linear":
        return Side("hf_text", options, inner, Linear(_taken(tensors, "proj.weight")))
    if proj != "mlp":
        raise CheckpointError(f"text_cfg: hf_proj_type = {proj!r} is not supported, linear and mlp are")
    inner["head.up.weight"] = _taken(tensors, "proj.0.weight")
    options["hidden"] = len(inner["head.up.weight"])
    return Side("hf_text", options, inner, Linear(_taken(tensors, "proj.2.weight")))


def hf_config(name: str, place: Path) -> dict[str, Any]:
    """The configuration of a transformers model: beside the checkpoint, in a folder that is called so, or the hub's."""
    for path in (place / "config.json", place / name / "config.json", Path(name) / "config.json"):
        found = read_json(path) if path.is_file() else None
        if isinstance(found, dict) and "model_type" in found and "text_config" not in found:  # not of a pair
            return found
    try:
        fetched = read_json(Path(hf_hub_download(name, "config.json")))
    except (OSError, ValueError) as error:  # offline, no such id, not of the form of an id
        raise CheckpointError(
            f"{place}: text_cfg names the text model {name}, whose config.json is neither in this folder nor handed "
            f"out by the hub ({error}); put it there"
        ) from error
    assert isinstance(fetched, dict)
    return fetched


def _siglip(name: str, size: int, trunk: Tensors) -> Side:
    options = facts(name, size)
    ours = dict(trunk)
    for key, end in (("patch_embed.proj.weight", 1), ("attn_pool.latent", 0)):
        ours[key] = _taken(ours, key, "visual.trunk.").flatten(end)
    ours["pos_embed"] = _taken(ours, "pos_embed", "visual.trunk.").flatten(0, 1)
    try:
        return Side("siglip_vit", options, SIGLIP.ours(ours, f"timm's {name}"))
    except ValueError as error:
        raise CheckpointError(str(error)) from error


def _siglip_cfg(side: Side) -> tuple[dict[str, Any], Tensors]:
    """Raises CheckpointError where timm has no such model."""
    import timm

    o = side.options
    named = [n for n in timm.list_models("*siglip*") if f"patch{o['patch']}_" in n and n.endswith(f"_{o['size']}")]
    ratio = round(o["width"] * o["mlp_ratio"]) / o["width"]
    alike = {n: facts(n, o["size"]) for n in named if "_gap_" not in n}
    name = next((n for n, found in alike.items() if found == o | {"mlp_ratio": ratio}), None)
    if name is None:
        told = ", ".join(f"{k} = {v}" for k, v in o.items())
        raise CheckpointError(
            f"open_clip takes SigLIP's image towers from timm, which has none with {told}"
            + "".join(f"; its {n} has the activation {found['activation']}" for n, found in alike.items())
        )
    found = SIGLIP.theirs(side.tensors, "siglip_vit that timm has")
    found["patch_embed.proj.weight"] = as_convolution(found["patch_embed.proj.weight"])
    found["pos_embed"], found["attn_pool.latent"] = found["pos_embed"][None], found["attn_pool.latent"][None, None]
    cfg = {"image_size": o["size"], "timm_model_name": name, "timm_model_pretrained": False}
    return cfg | {"timm_pool": "map", "timm_proj": "none"}, {f"trunk.{k}": v for k, v in found.items()}


@cache
def facts(name: str, size: int) -> dict[str, Any]:
    """The options of `siglip_vit` that make timm's model of this name; it takes no memory to find out. Raises
    CheckpointError when timm has none."""
    import timm

    if not timm.is_model(name):  # which rules out places that timm would ask for one
        raise CheckpointError(f"vision_cfg: timm has no model called {name}")
    try:
        with torch.device("meta"):
            made: Any = timm.create_model(name, num_classes=0, global_pool="map")
    except (RuntimeError, ValueError, TypeError) as error:
        raise CheckpointError(f"vision_cfg: timm makes no {name} ({error})") from error
    block = made.blocks[0]
    act: Callable[..., Any] | nn.Module = block.mlp.act
    tanh = "tanh" in type(act).__name__.lower() or getattr(act, "approximate", "none") == "tanh"
    return {
        "size": size,
        "patch": int(made.patch_embed.patch_size[0]),
        "width": int(made.embed_dim),
        "depth": len(made.blocks),
        "heads": int(block.attn.num_heads),
        "mlp_ratio": block.mlp.fc1.out_features / int(made.embed_dim),
        "activation": "gelu_tanh" if tanh else "gelu",
        "eps": float(block.norm1.eps),
    }


def _classifier(name: str) -> str:
    import timm

    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    if config is None or not isinstance(config.classifier, str):
        raise CheckpointError(
            f"vision_cfg: timm says of no single classifier of {name}, which timm_proj = null asks for"
        )
    return config.classifier


def _but(given: Mapping[str, Any], other: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The entries without those of open_clip's own towers, at which it does not look for a library's."""
    return {k: v for k, v in given.items() if k in own or k not in other}


def _taken(tensors: Tensors, name: str, whole: str = "") -> torch.Tensor:
    if name not in tensors:
        raise CheckpointError(f"the tensor {whole}{name} is missing; is it from another model?")
    return tensors[name]
