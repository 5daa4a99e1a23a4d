"""open_clip's own towers: from `vision_cfg` and `text_cfg`, with the tensors, to our encoders, and back.

Cherti et al., "Reproducible scaling laws for contrastive language-image learning", 2023.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch

from dovetail.models.clip_weights import CARRIED
from dovetail.models.files import CheckpointError
from dovetail.models.layouts.open_clip_side import Linear, Side, Tensors, chosen, ratio_of, square, whole_ratio
from dovetail.models.renaming import Renaming, under

PLAIN_BLOCKS = {  # what open_clip's blocks may have besides, and these have not
    "qk_norm": False,
    "scaled_cosine_attn": False,
    "scale_heads": False,
    "scale_attn_inner": False,
    "scale_attn": False,
    "scale_fc": False,
}
SHARED = {"mlp_ratio": 4.0, "ls_init_value": None, "act_kwargs": None, "norm_kwargs": None, "block_type": None}
VISION: dict[str, Any] = SHARED | {
    "layers": 12,
    "width": 768,
    "head_width": 64,
    "patch_size": 16,
    "image_size": 224,
    "attentional_pool": False,
    "attn_pooler_queries": 256,
    "attn_pooler_heads": 8,
    "no_ln_pre": False,
    "pos_embed_type": "learnable",  # or sin_cos_2d, whose values are stored just the same
    "final_ln_after_pool": False,
    "pool_type": "tok",
    "patch_dropout": 0.0,  # of training alone
    "output_tokens": False,  # of CoCa's decoder alone
}
TEXT: dict[str, Any] = SHARED | {
    "context_length": 77,
    "vocab_size": 49408,
    "width": 512,
    "heads": 8,
    "layers": 12,
    "embed_cls": False,
    "pad_id": 0,
    "eos_id": 2,
    "no_causal_mask": False,
    "final_ln_after_pool": False,  # open_clip does not look at it
    "pool_type": "argmax",
    "proj_bias": False,
    "proj_type": "linear",
    "output_tokens": False,
    "hf_tokenizer_name": None,
    "tokenizer_mode": None,
    "tokenizer_kwargs": None,
}
_BLOCK = {
    "ln_1.": "norm_attention.",
    "attn.in_proj_": "qkv.",
    "attn.out_proj.": "out.",
    "ls_1.gamma": "scale_attention.factors",
    "ln_2.": "norm_mlp.",
    "mlp.c_fc.": "up.",
    "mlp.c_proj.": "down.",
    "ls_2.gamma": "scale_mlp.factors",
}
_POOLING = {  # CoCa's; its biases and its maps of one width are joined in open_clip
    "query": "probes",
    "ln_q.": "norm_probes.",
    "ln_k.": "transformer.norm.",
    "attn.q_proj_": "query.",
    "attn.k_proj_": "key.",
    "attn.v_proj_": "value.",
    "attn.out_proj.": "collect.",
}
IMAGE = Renaming(
    (
        ("conv1.", "patches."),
        ("class_embedding", "class_token"),
        ("positional_embedding", "positions"),
        ("ln_pre.", "first_norm."),
        ("ln_post.", "last_norm."),
        *under("transformer.resblocks.{}.", "transformer.blocks.{}.", _BLOCK),
        *under("attn_pool.", "", _POOLING),
    )
)
TEXTS = Renaming(
    (
        ("token_embedding.", "words."),
        ("positional_embedding", "positions"),
        ("cls_emb", "class_token"),
        ("ln_final.", "transformer.norm."),
        *under("transformer.resblocks.{}.", "transformer.blocks.{}.", _BLOCK),
    )
)


def image_side(given: Mapping[str, Any], quick: bool, tensors: Tensors, embed_dim: int) -> Side:
    """A ViT of open_clip's; `tensors` by their names without `visual.`. Raises CheckpointError for what it asks for
    that is not supported."""
    where = "vision_cfg"
    cfg = chosen(given, VISION, PLAIN_BLOCKS, where)
    options = {
        "size": square(cfg["image_size"], f"{where}: image_size"),
        "patch": square(cfg["patch_size"], f"{where}: patch_size"),
        "inner": cfg["width"],
        "depth": cfg["layers"],
        "heads": cfg["width"] // cfg["head_width"],
        "norm_before": not cfg["no_ln_pre"],
    } | _shared(cfg, quick, where)
    map_ = Linear(_taken(tensors, "proj", where).T.contiguous())
    rest = {k: v.flatten(1) if k == "conv1.weight" else v for k, v in tensors.items() if k != "proj"}
    if cfg["attentional_pool"]:
        for name, wanted in (("attentional_pool", True), ("pool_type", "tok"), ("ls_init_value", None)):
            if cfg[name] != wanted:
                raise CheckpointError(f"{where}: {name} = {cfg[name]!r} is not supported with attentional pooling")
        options |= {"queries": cfg["attn_pooler_queries"], "pool_heads": cfg["attn_pooler_heads"], "width": embed_dim}
        return Side("coca_vit", options, _ours(IMAGE, _apart(rest), where), map_)
    pools = {("tok", False): "class", ("tok", True): "class", ("avg", False): "mean", ("avg", True): "mean_norm"}
    kind = pools.get((cfg["pool_type"], bool(cfg["final_ln_after_pool"])))
    if kind is None:
        raise CheckpointError(f"{where}: pool_type = {cfg['pool_type']!r} is not supported, tok and avg are")
    options |= {"pool": kind, "layer_scale": cfg["ls_init_value"], "out": None}
    return Side("open_clip_vit", options, _ours(IMAGE, rest, where), map_)


def text_side(given: Mapping[str, Any], quick: bool, tensors: Tensors) -> Side:
    """A text transformer of open_clip's; `tensors` by their names without `text.`. Raises CheckpointError for what it
    asks for that is not supported."""
    where = "text_cfg"
    cfg = chosen(given, TEXT, PLAIN_BLOCKS, where)
    options = {
        "vocabulary": cfg["vocab_size"],
        "context": cfg["context_length"],
        "depth": cfg["layers"],
        "heads": cfg["heads"],
        "layer_scale": cfg["ls_init_value"],
    } | _shared(cfg, quick, where)
    map_ = _projection(cfg, tensors, where)
    ours = _ours(TEXTS, {k: v for k, v in tensors.items() if not k.startswith("text_projection")}, where)
    if cfg["embed_cls"]:
        if cfg["no_causal_mask"]:
            raise CheckpointError(f"{where}: no_causal_mask together with embed_cls is not supported")
        positions = _taken(ours, "positions", where)
        ours |= {"positions": positions[:-1], "class_position": positions[-1]}
        return Side("coca_text", options | {"width": cfg["width"], "pad": cfg["pad_id"]}, ours, map_)
    pools: dict[str, Any] = {"argmax": "highest", "eos": cfg["eos_id"], "first": "first", "last": "last"}
    if cfg["pool_type"] not in pools:
        raise CheckpointError(f"{where}: pool_type = {cfg['pool_type']!r} is not supported, {', '.join(pools)} are")
    options |= {
        "inner": cfg["width"],
        "causal": not cfg["no_causal_mask"],
        "pool": pools[cfg["pool_type"]],
        "out": None,
    }
    return Side("open_clip_text", options, ours, map_)


def vision_cfg(side: Side) -> tuple[dict[str, Any], Tensors]:
    """The counterpart of `image_side`, for a side in its `general` form: the entries that are not open_clip's defaults,
    and the tensors without `visual.`."""
    o = side.options
    if side.map is None or side.map.bias is not None:
        raise CheckpointError(f"open_clip's ViT ends in a linear map without a bias, this {side.key} does not")
    cfg = _shared_cfg(o) | {
        "image_size": o["size"],
        "patch_size": o["patch"],
        "width": o["inner"],
        "layers": o["depth"],
        "head_width": o["inner"] // o["heads"],
    }
    cfg |= {} if o["norm_before"] else {"no_ln_pre": True}
    back = _theirs(IMAGE, side)
    back["conv1.weight"] = back["conv1.weight"].reshape(o["inner"], 3, o["patch"], o["patch"])
    if side.key == "coca_vit":
        cfg["attentional_pool"] = True
        cfg |= {"attn_pooler_queries": o["queries"], "attn_pooler_heads": o["pool_heads"]}
        back = _together(back)
    elif o["pool"] != "class":
        cfg |= {"pool_type": "avg"} | ({"final_ln_after_pool": True} if o["pool"] == "mean_norm" else {})
    return cfg, back | {"proj": side.map.weight.T}


def text_cfg(side: Side) -> tuple[dict[str, Any], Tensors]:
    """The counterpart of `text_side`, for a side in its `general` form; the tensors without `text.`."""
    o = side.options
    inner = o["width"] if side.key == "coca_text" else o["inner"]
    cfg = _shared_cfg({**o, "inner": inner}) | {
        "context_length": o["context"],
        "vocab_size": o["vocabulary"],
        "width": inner,
        "heads": o["heads"],
        "layers": o["depth"],
    }
    ours = dict(side.tensors)
    if side.key == "coca_text":
        cfg |= {"embed_cls": True} | ({"pad_id": o["pad"]} if o["pad"] else {})
        ours["positions"] = torch.cat([ours["positions"], ours.pop("class_position")[None]])
    else:
        pools: dict[Any, dict[str, Any]] = {
            "highest": {},
            "first": {"pool_type": "first"},
            "last": {"pool_type": "last"},
        }
        cfg |= pools.get(o["pool"]) or ({} if o["pool"] == "highest" else {"pool_type": "eos", "eos_id": o["pool"]})
        cfg |= {} if o["causal"] else {"no_causal_mask": True}
    back = _theirs(TEXTS, Side(side.key, o, ours))
    if side.map is None:
        return cfg | {"proj_type": "none"}, back
    if side.map.bias is None:
        return cfg, back | {"text_projection": side.map.weight.T}
    biased = {"text_projection.weight": side.map.weight, "text_projection.bias": side.map.bias}
    return cfg | {"proj_bias": True}, back | biased


def _shared(cfg: Mapping[str, Any], quick: bool, where: str) -> dict[str, Any]:
    """Options that both towers have."""
    if set(cfg["norm_kwargs"] or {}) - {"eps"}:
        raise CheckpointError(f"{where}: norm_kwargs = {cfg['norm_kwargs']} is not supported, eps alone is")
    if cfg["block_type"] not in (None, "default", "custom"):
        raise CheckpointError(f"{where}: block_type = {cfg['block_type']!r} is not supported")
    kwargs = dict(cfg["act_kwargs"] or {})
    how = {"none": "gelu", "tanh": "gelu_tanh"}.get(kwargs.pop("approximate", "none"))
    if how is None or kwargs or (quick and cfg["act_kwargs"]):
        raise CheckpointError(
            f"{where}: act_kwargs = {cfg['act_kwargs']} is not supported, approximate of a GELU alone is"
        )
    return {
        "mlp_ratio": whole_ratio(cfg["width"], cfg["mlp_ratio"]),
        "activation": "quick_gelu" if quick else how,
        "eps": (cfg["norm_kwargs"] or {}).get("eps", 1e-5),
    }


def _shared_cfg(o: Mapping[str, Any]) -> dict[str, Any]:
    """The counterpart of `_shared`; quick-GELU is said elsewhere."""
    ratio = ratio_of(o["inner"], round(o["inner"] * o["mlp_ratio"]), o["mlp_ratio"])
    cfg: dict[str, Any] = {} if ratio == 4 else {"mlp_ratio": ratio}
    cfg |= {} if o["eps"] == 1e-5 else {"norm_kwargs": {"eps": o["eps"]}}
    cfg |= {"act_kwargs": {"approximate": "tanh"}} if o["activation"] == "gelu_tanh" else {}
    return cfg | ({} if o.get("layer_scale") is None else {"ls_init_value": o["layer_scale"]})


def _projection(cfg: Mapping[str, Any], tensors: Tensors, where: str) -> Linear | None:
    if cfg["proj_type"] == "none":
        return None
    if cfg["proj_type"] != "linear":
        raise CheckpointError(f"{where}: proj_type = {cfg['proj_type']!r} is not supported, linear and none are")
    if cfg["proj_bias"]:
        return Linear(*(_taken(tensors, f"text_projection.{x}", where) for x in ("weight", "bias")))
    return Linear(_taken(tensors, "text_projection", where).T.contiguous())


def _apart(tensors: Tensors) -> Tensors:
    """What torch's MultiheadAttention keeps as one tensor, queries, keys and values below each other, as three."""
    found = {}
    for name, value in tensors.items():
        _, joined, kind = name.partition("attn_pool.attn.in_proj_")
        parts = zip("qkv", value.chunk(3), strict=True) if joined else ()
        found.update({f"attn_pool.attn.{x}_proj_{kind}": part for x, part in parts} or {name: value})
    return found


def _together(tensors: Tensors) -> Tensors:
    """The counterpart of `_apart`: biases are always one tensor, weights where they are of one width."""
    found = dict(tensors)
    for kind in ("weight", "bias"):
        parts = [found[f"attn_pool.attn.{x}_proj_{kind}"] for x in "qkv"]
        if kind == "bias" or parts[0].shape == parts[1].shape:
            found = {k: v for k, v in found.items() if not re.fullmatch(rf"attn_pool\.attn\.[qkv]_proj_{kind}", k)}
            found[f"attn_pool.attn.in_proj_{kind}"] = torch.cat(parts)
    return found


def _ours(table: Renaming, tensors: Tensors, where: str) -> Tensors:
    try:
        return table.ours({k: v for k, v in tensors.items() if k not in CARRIED}, f"what the {where} asks for")
    except ValueError as error:
        raise CheckpointError(str(error)) from error


def _theirs(table: Renaming, side: Side) -> Tensors:
    try:
        return table.theirs(side.tensors, f"{side.key} that open_clip has")
    except ValueError as error:
        raise CheckpointError(str(error)) from error


def _taken(tensors: Tensors, name: str, where: str) -> torch.Tensor:
    if name not in tensors:
        raise CheckpointError(f"the tensor {name}, which the {where} asks for, is missing")
    return tensors[name]
