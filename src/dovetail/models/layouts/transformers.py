"""The transformers library's layout of CLIP, SigLIP and SigLIP 2: a folder with configuration, weights, image processor
and tokenizer.

config.json   model.safetensors   preprocessor_config.json   tokenizer.json   tokenizer_config.json

A SigLIP 2 of NaFlex patches is read as the SigLIP of its own square of patches: equal to it on square pictures, while
others, whose aspect ratio NaFlex keeps, are squashed. It is written as that SigLIP.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dovetail.catalogue import configuration, lookup
from dovetail.contracts import Encoder, Similarity
from dovetail.models import clip_weights, siglip_weights
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.files import CheckpointError, put, read_json, save_tensors, write_json
from dovetail.models.layouts.transformers_pixels import FILE as PREPROCESSOR
from dovetail.models.layouts.transformers_pixels import preprocessing_of, preprocessor_config
from dovetail.models.layouts.transformers_text import tokenizer_of, write_tokenizer
from dovetail.models.layouts.transformers_weights import weights_of

WHAT = "a transformers folder of CLIP, SigLIP or SigLIP 2"
WEIGHTS, CONFIG = "model.safetensors", "config.json"
HIGHEST = 2  # as eos_token_id it means, for older files' sake: pool at the highest id
ACTIVATIONS = {"gelu": "gelu", "gelu_pytorch_tanh": "gelu_tanh", "gelu_new": "gelu_tanh", "quick_gelu": "quick_gelu"}

Rename = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
Options = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A model type: its towers and how their options are found in its configuration, and its weights' names."""

    image: str
    text: str
    options: Callable[[Options], tuple[Options, Options]]
    ours: Rename
    shared: bool  # the towers' vectors share a space: no maps after them, but a bias


def recognises(place: Path) -> bool:
    """A folder whose configuration states one of the model types."""
    config = read_json(place / CONFIG) if (place / CONFIG).is_file() else None
    return isinstance(config, dict) and config.get("model_type") in KINDS


def read(place: Path) -> DualEncoder:
    """The model in a folder. Raises CheckpointError when a file is missing, does not fit the others or states what our
    towers cannot do."""
    config = _configuration(place)
    kind: Kind = KINDS[config["model_type"]]
    try:
        image, text = kind.options(config)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{place / CONFIG}: {error}; our towers cannot be made from it") from error
    preprocessing = preprocessing_of(place)
    if preprocessing.size != image["size"]:
        raise CheckpointError(
            f"{place}: the image processor makes pictures of {preprocessing.size} pixels, the tower of {CONFIG} reads "
            f"{image['size']}; correct the one that is wrong"
        )
    tokenizer = tokenizer_of(place, text["context"], fill=kind.shared)
    weights, source = weights_of(place)
    try:
        tensors = kind.ours(weights)
    except ValueError as error:
        raise CheckpointError(f"{source}: {error}") from error
    if "log_scale" not in tensors:
        raise CheckpointError(f"{source}: has no logit_scale; is it from another model?")
    with torch.device("meta"):  # the weights are about to come
        model = DualEncoder(
            image=lookup(kind.image, Encoder).make(**image),
            text=lookup(kind.text, Encoder).make(**text),
            embed_dim=None if kind.shared else config["projection_dim"],
            preprocessing=preprocessing,
            tokenizer=tokenizer,
            similarity=lookup("cosine", Similarity).make(),
            scale=float(tensors["log_scale"].double().exp()),
            bias=0.0 if kind.shared else None,
        )
    put(model, tensors, source)
    return model


def write(model: DualEncoder, folder: str | Path) -> Path:
    """Writes the model as transformers' CLIPModel or SiglipModel. Returns the folder, which is made if missing.

    Raises CheckpointError, before anything is written, for a model that is neither.
    """
    folder = Path(folder)
    image, text = configuration(model.image), configuration(model.text)
    make = WRITTEN.get((image["method"], text["method"]))
    if make is None:
        raise CheckpointError(
            f"transformers has no model of the towers {image['method']} and {text['method']}; those of "
            f"{' or '.join(' and '.join(pair) for pair in WRITTEN)} can be written so"
        )
    if (alike := configuration(model.alike)["method"]) != "cosine":
        raise CheckpointError(f"transformers' models compare by the cosine alone, this one by {alike}")
    config, tensors = make(model, image["options"], text["options"])
    pixels = preprocessor_config(model.preprocessing)
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors({k: v.cpu() for k, v in tensors.items()}, folder / WEIGHTS, {"format": "pt"})
    write_tokenizer(model.tokenizer, folder)
    write_json(pixels, folder / PREPROCESSOR)
    write_json({**config, "dtype": str(model.log_scale.dtype).removeprefix("torch.")}, folder / CONFIG)
    return folder


def _configuration(place: Path) -> Options:
    """All of a configuration, also what its file leaves to defaults."""
    from transformers import AutoConfig  # seconds to import, and not needed for other layouts

    try:
        config = AutoConfig.from_pretrained(str(place), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # it raises anything on values of another kind
        raise CheckpointError(f"{place / CONFIG}: transformers cannot read it ({error})") from error
    found: Options = config.to_dict()
    return found


def _clip(config: Options) -> tuple[Options, Options]:
    vision, text = config["vision_config"], config["text_config"]
    end = text["eos_token_id"]
    image = {"size": _square(vision, "image_size"), "patch": _square(vision, "patch_size"), **_sizes(vision)}
    return image, {**_words(text), **_sizes(text), "end": None if end == HIGHEST else _whole(end, "eos_token_id")}


def _siglip(config: Options) -> tuple[Options, Options]:
    vision, text = config["vision_config"], config["text_config"]
    image = {"size": _square(vision, "image_size"), "patch": _square(vision, "patch_size"), **_sizes(vision)}
    width = text["projection_size"] or text["hidden_size"]
    return image, {**_words(text), **_sizes(text), "width": width, "token_width": text["hidden_size"]}


def _naflex(config: Options) -> tuple[Options, Options]:
    vision = config["vision_config"]
    side = math.isqrt(vision["num_patches"])
    if side * side != vision["num_patches"]:
        raise ValueError(f"num_patches {vision['num_patches']} are no square of patches")
    return _siglip({**config, "vision_config": {**vision, "image_size": side * _square(vision, "patch_size")}})


def _sizes(part: Options) -> Options:
    """What a tower's configuration says of its transformer."""
    if part["hidden_act"] not in ACTIVATIONS:
        raise ValueError(f"hidden_act is {part['hidden_act']!r}, not one of {', '.join(ACTIVATIONS)}")
    if part.get("num_channels", 3) != 3:
        raise ValueError(f"num_channels is {part['num_channels']}, not 3")
    return {
        "width": part["hidden_size"],
        "depth": part["num_hidden_layers"],
        "heads": part["num_attention_heads"],
        "mlp_ratio": part["intermediate_size"] / part["hidden_size"],
        "activation": ACTIVATIONS[part["hidden_act"]],
        "eps": part["layer_norm_eps"],
    }


def _words(text: Options) -> Options:
    return {"vocabulary": text["vocab_size"], "context": text["max_position_embeddings"]}


def _square(part: Options, name: str) -> int:
    value = part[name]
    if isinstance(value, list | tuple):
        if len(set(value)) != 1:
            raise ValueError(f"{name} {value} is no square")
        value = value[0]
    return _whole(value, name)


def _whole(value: Any, name: str) -> int:
    if not isinstance(value, int):
        raise ValueError(f"{name} is {value!r}, not a number")
    return value


def _as_clip(model: DualEncoder, image: Options, text: Options) -> tuple[Options, dict[str, Tensor]]:
    if not model.projected or model.bias is not None or image["patch_bias"] or not image["norm_before"]:
        raise CheckpointError(
            "transformers' CLIPModel has maps into the shared space, a norm before the blocks, and no bias of the "
            "patches or the scores; this model differs"
        )
    if text["end"] == HIGHEST:
        raise CheckpointError(
            f"transformers' CLIPModel takes an end of text of id {HIGHEST} for `the highest id`; this one ends with it"
        )
    config: Options = {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": model.embed_dim,
        "vision_config": {**_vision(image), "model_type": "clip_vision_model", "projection_dim": model.embed_dim},
        "text_config": {**_text(text, model), "model_type": "clip_text_model", "projection_dim": model.embed_dim},
    }
    config["text_config"]["eos_token_id"] = HIGHEST if text["end"] is None else text["end"]
    return config, clip_weights.to_transformers(model.state_dict())


def _as_siglip(model: DualEncoder, image: Options, text: Options) -> tuple[Options, dict[str, Tensor]]:
    if model.projected or model.bias is None or not model.tokenizer.fill:
        raise CheckpointError(
            "transformers' SiglipModel has no maps after the towers, a bias of the scores, and texts filled up "
            "to the context; this model differs"
        )
    config: Options = {
        "architectures": ["SiglipModel"],
        "model_type": "siglip",
        "vision_config": {**_vision(image), "model_type": "siglip_vision_model"},
        "text_config": {
            **_text(text, model),
            "model_type": "siglip_text_model",
            "hidden_size": model.text.token_width,
            "intermediate_size": round(model.text.token_width * text["mlp_ratio"]),
            "projection_size": text["width"],
        },
    }
    return config, siglip_weights.to_transformers(model.state_dict())


def _transformer(options: Options) -> Options:
    """The inverse of `_sizes`."""
    return {
        "hidden_size": options["width"],
        "num_hidden_layers": options["depth"],
        "num_attention_heads": options["heads"],
        "intermediate_size": round(options["width"] * options["mlp_ratio"]),
        "hidden_act": next(theirs for theirs, ours in ACTIVATIONS.items() if ours == options["activation"]),
        "layer_norm_eps": options["eps"],
    }


def _vision(options: Options) -> Options:
    return {**_transformer(options), "image_size": options["size"], "patch_size": options["patch"]}


def _text(options: Options, model: DualEncoder) -> Options:
    ids = {
        "pad_token_id": model.tokenizer.pad,
        "bos_token_id": model.tokenizer.bos,
        "eos_token_id": model.tokenizer.eos,
    }
    positions = {"vocab_size": options["vocabulary"], "max_position_embeddings": options["context"]}
    return {**_transformer(options), **positions, **ids}


KINDS = {
    "clip": Kind("clip_vit", "clip_text", _clip, clip_weights.from_transformers, shared=False),
    "siglip": Kind("siglip_vit", "siglip_text", _siglip, siglip_weights.from_transformers, shared=True),
    "siglip2": Kind("siglip_vit", "siglip_text", _naflex, siglip_weights.from_transformers, shared=True),
}
WRITTEN = {("clip_vit", "clip_text"): _as_clip, ("siglip_vit", "siglip_text"): _as_siglip}
