"""open_clip's layout: a folder, or a repository of the hub, with its configuration and weights.

open_clip_config.json   open_clip_model.safetensors (or open_clip_pytorch_model.bin)   tokenizer files, for some

Ilharco et al., "OpenCLIP", 2021. Of CoCa the two towers are opened, not the decoder that writes captions.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dovetail.catalogue import CatalogueError, build, configuration, entry_of, rebuild
from dovetail.data.preprocessing import OPENAI, Preprocessing
from dovetail.data.records import DataError
from dovetail.data.text import Tokenizer
from dovetail.models.clip_weights import CARRIED
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.files import CheckpointError, put, read_json, save_tensors, write_json
from dovetail.models.layouts.open_clip_libraries import hf_side, timm_cfg, timm_side
from dovetail.models.layouts.open_clip_resnet import resnet_cfg, resnet_side
from dovetail.models.layouts.open_clip_side import Linear, Side, Tensors, chosen, general, simplest, square
from dovetail.models.layouts.open_clip_state import tensors_in
from dovetail.models.layouts.open_clip_text import tokenizer_of, with_padding_read, write_tokenizer
from dovetail.models.layouts.open_clip_towers import image_side, text_cfg, text_side, vision_cfg

WHAT = "a folder of open_clip (open_clip_config.json with its weights)"
CONFIG = "open_clip_config.json"
WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
)
MODEL: dict[str, Any] = {
    "embed_dim": None,
    "vision_cfg": None,
    "text_cfg": None,
    "quick_gelu": False,
    "init_logit_bias": None,
    "multimodal_cfg": None,  # of CoCa's decoder alone
    "custom_text": False,  # how the tensors are named, which they say themselves
    "init_logit_scale": None,  # where training began, as the next; the tensors are what it led to
    "nonscalar_logit_scale": False,
    "output_dict": False,
}
PIXELS = {"size", "mode", "mean", "std", "interpolation", "resize_mode", "fill_color"}
RESIZE = {"shortest": "crop", "longest": "pad", "squash": "squash"}
_VISION_CFG = {"timm": timm_cfg, "siglip_vit": timm_cfg, "modified_resnet": resnet_cfg}  # of others `vision_cfg`
NATIVE = ("open_clip_vit", "coca_vit", "open_clip_text", "coca_text")


def recognises(place: Path) -> bool:
    """A folder with open_clip's configuration."""
    return (place / CONFIG).is_file()


def read(place: Path) -> DualEncoder:
    """The model in a folder. Raises CheckpointError when a file is missing or does not fit the others, or for an entry
    of the configuration that asks for what is not supported, by its name."""
    config = read_json(place / CONFIG)
    if not isinstance(config, dict) or not isinstance(config.get("model_cfg", config), dict):
        raise CheckpointError(f"{place / CONFIG}: expected an object with model_cfg and preprocess_cfg")
    weights = next((place / name for name in WEIGHTS if (place / name).is_file()), place / WEIGHTS[0])
    pixels = config.get("preprocess_cfg") or {}
    return assembled(config.get("model_cfg", config), pixels, tensors_in(weights), weights, place / CONFIG)


def assembled(
    model_cfg: Mapping[str, Any], pixels: Mapping[str, Any], tensors: Tensors, weights: Path, config: Path
) -> DualEncoder:
    """The model of a `model_cfg` and a `preprocess_cfg` with open_clip's tensors; `weights` is the file that they are
    from, `config` the one of the configuration. Raises CheckpointError as `read` does."""
    try:
        model, held = _assembled(model_cfg, pixels, tensors, weights)
    except (CheckpointError, CatalogueError, DataError) as error:
        raise CheckpointError(f"{config}: {error}") from error
    except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RuntimeError) as error:
        raise CheckpointError(f"{config}: an entry is of another kind than it should be ({error})") from error
    put(model, held, weights)
    return model


def write(model: DualEncoder, folder: str | Path) -> Path:
    """Writes the model into `folder` (made if missing) as open_clip does; each file is written beside and renamed.
    Returns the folder.

    Where the square that transformers cuts out of a picture lies between two pixels (`crop_floor`), open_clip's lies
    one further for every second such picture. Raises CheckpointError, saying why, for a model that it has no names for.
    """
    folder = Path(folder)
    image, text = _written_side(model, "image"), _written_side(model, "text")
    visual_cfg, visual = _VISION_CFG.get(image.key, vision_cfg)(image)
    words_cfg, words = text_cfg(text)
    custom = (
        image.key in ("timm", "siglip_vit") or text.key == "coca_text" or text.map is None or text.map.bias is not None
    )
    cfg: dict[str, Any] = {"embed_dim": model.embed_dim, "vision_cfg": visual_cfg, "text_cfg": words_cfg}
    cfg |= {"custom_text": True} if custom else {}
    cfg |= {"quick_gelu": True} if _quick(image, text) else {}
    scalars = {"logit_scale": model.log_scale} | ({} if model.bias is None else {"logit_bias": model.bias})
    cfg |= {} if model.bias is None else {"init_logit_bias": float(model.bias.detach())}
    _check_padding(text, model.tokenizer)
    pixels = _preprocess_cfg(model.preprocessing)
    tensors = {f"visual.{k}": v for k, v in visual.items()}
    tensors |= {f"text.{k}" if custom else k: v for k, v in words.items()}
    tensors |= {k: v.detach().cpu() for k, v in scalars.items()}
    folder.mkdir(parents=True, exist_ok=True)
    words_cfg |= write_tokenizer(model.tokenizer, folder)
    save_tensors(tensors, folder / WEIGHTS[0])
    write_json({"model_cfg": cfg, "preprocess_cfg": pixels}, folder / CONFIG)
    return folder


def _assembled(
    model_cfg: Mapping[str, Any], pixels: Mapping[str, Any], tensors: Tensors, weights: Path
) -> tuple[DualEncoder, Tensors]:
    cfg = chosen(model_cfg, MODEL, {}, "model_cfg")
    if missing := [name for name in ("embed_dim", "vision_cfg", "text_cfg") if cfg[name] is None]:
        raise CheckpointError(f"model_cfg: the entry {missing[0]} is missing")
    visual, words, scalars = _parts(tensors, weights)
    if "bias" not in scalars and cfg["init_logit_bias"] is not None:
        scalars["bias"] = torch.zeros(())  # as open_clip does
    image, text = _sides(cfg, visual, words, weights.parent)
    tokenizer = tokenizer_of(cfg["text_cfg"], weights.parent)
    if _sees_padding(text, tokenizer):
        tokenizer = with_padding_read(tokenizer)
    maps = {f"{name}_projection.weight": side.map for name, side in (("image", image), ("text", text))}
    plain = all(m is not None and m.bias is None for m in maps.values())
    if not plain:  # maps that are not of one kind belong to their towers
        image, text, maps = image.folded(), text.folded(), {}
    image, text = simplest(image), simplest(text)
    model = DualEncoder(
        _tower(image),
        _tower(text),
        cfg["embed_dim"] if plain else None,
        _preprocessing(pixels, square(cfg["vision_cfg"].get("image_size", 224), "vision_cfg: image_size")),
        tokenizer,
        build("cosine"),
        scale=float(scalars["log_scale"].float().exp()),
        bias=0.0 if "bias" in scalars else None,
    )
    known = getattr(model.text, "vocabulary", tokenizer.vocab_size)
    if tokenizer.vocab_size > known:
        raise CheckpointError(f"the tokenizer has {tokenizer.vocab_size} tokens, the text tower knows {known}")
    held = {f"image.{k}": v for k, v in image.tensors.items()} | {f"text.{k}": v for k, v in text.tensors.items()}
    return model, held | {name: m.weight for name, m in maps.items() if m is not None} | scalars


def _parts(tensors: Tensors, weights: Path) -> tuple[Tensors, Tensors, Tensors]:
    """The image tower's tensors, the text tower's and the model's own scalars, each without a prefix."""
    decoder = [name for name in tensors if name.startswith("text_decoder.")]
    if decoder:
        warnings.warn(
            f"{weights}: text_decoder.* ({len(decoder)} tensors) writes captions and is left aside", stacklevel=5
        )
    visual = {k.removeprefix("visual."): v for k, v in tensors.items() if k.startswith("visual.")}
    scalars = {
        ours: tensors[name].reshape(())
        for name, ours in (("logit_scale", "log_scale"), ("logit_bias", "bias"))
        if name in tensors
    }
    if "log_scale" not in scalars:
        raise CheckpointError(f"{weights} has no tensor logit_scale; is it from a model of open_clip's or OpenAI's?")
    others = {k: v for k, v in tensors.items() if not k.startswith(("visual.", "text_decoder.", "logit_"))}
    words = {k.removeprefix("text."): v for k, v in others.items() if k not in CARRIED}
    return visual, words, scalars


def _sides(cfg: Mapping[str, Any], visual: Tensors, words: Tensors, place: Path) -> tuple[Side, Side]:
    quick, dim = bool(cfg["quick_gelu"]), cfg["embed_dim"]
    v, t = cfg["vision_cfg"], cfg["text_cfg"]
    if v.get("timm_model_name"):
        image = timm_side(v, visual)
    elif isinstance(v.get("layers"), list | tuple):
        image = resnet_side(_without(v, "timm_"), visual, dim)
    else:
        image = image_side(_without(v, "timm_"), quick, visual, dim)
    text = hf_side(t, words, place) if t.get("hf_model_name") else text_side(_without(t, "hf_model"), quick, words)
    return image, text


def _without(cfg: Mapping[str, Any], other: str) -> dict[str, Any]:
    """A tower's entries without those of the other kind of tower, which mean nothing for it."""
    return {k: v for k, v in cfg.items() if not k.startswith((other, "hf_proj", "hf_pooler"))}


def _tower(side: Side) -> Any:
    """The tower, its own kinds without memory for random weights, which would be replaced at once."""
    config = {"contract": "Encoder", "method": side.key, "options": side.options}
    if side.key in ("timm", "hf_text"):
        return rebuild(config)
    with torch.device("meta"):
        return rebuild(config)


def _sees_padding(text: Side, tokenizer: Tokenizer) -> bool:
    """Whether open_clip's tower makes anything of a text's padding, which it does not mask."""
    o = text.options
    if text.key == "hf_text":
        return tokenizer.pad != (o["config"].get("pad_token_id") or 0)
    if text.key == "coca_text":
        return bool(tokenizer.pad != o["pad"])
    if not o["causal"] or o["pool"] == "last":
        return True
    if o["pool"] == "highest":
        return tokenizer.eos is None or tokenizer.pad > tokenizer.eos
    return o["pool"] == tokenizer.pad and tokenizer.eos != tokenizer.pad


def _check_padding(text: Side, tokenizer: Tokenizer) -> None:
    if text.key == "coca_text" or (text.options["causal"] and text.options["pool"] != "last"):
        return
    if not tokenizer.fill or tokenizer.context != text.options["context"]:
        raise CheckpointError(
            "open_clip's text towers whose words see all others, or that pool at the last place, read padding up "
            "to the context as text; this model's do not"
        )


def _preprocessing(given: Mapping[str, Any], size: int) -> Preprocessing:
    for name in given:
        if name not in PIXELS:
            raise CheckpointError(f"preprocess_cfg: the entry {name} is unknown; what it asks for is not supported")
    held = {"mode": "RGB", "interpolation": "bicubic", "resize_mode": "shortest", "fill_color": 0, "mean": OPENAI[0]}
    held |= {"std": OPENAI[1]} | {k: v for k, v in given.items() if v is not None}
    mean, std, fill = (
        tuple(v if isinstance(v, list | tuple) else [v] * 3) for v in (held["mean"], held["std"], held["fill_color"])
    )
    if held["mode"] != "RGB" or held["resize_mode"] not in RESIZE:
        raise CheckpointError(
            f"preprocess_cfg: mode {held['mode']} with resize_mode {held['resize_mode']} is not supported"
        )
    return Preprocessing(
        size=size,
        mean=mean,
        std=std,
        interpolation="bilinear"
        if held["interpolation"] == "bilinear"
        else "bicubic",  # so does "random", not training
        resize=RESIZE[held["resize_mode"]],
        ground=fill if held["resize_mode"] == "longest" else None,
    )


def _preprocess_cfg(p: Preprocessing) -> dict[str, Any]:
    """The counterpart of `_preprocessing`."""
    mode = ({ours: theirs for theirs, ours in RESIZE.items()} | {"crop_floor": "shortest"}).get(p.resize)
    if mode is None or p.scaled not in (None, p.size) or p.interpolation not in ("bilinear", "bicubic"):
        raise CheckpointError(
            f"open_clip has no preprocessing of resize {p.resize}, scaled {p.scaled}, interpolation {p.interpolation}"
        )
    cfg = {"size": p.size, "mode": "RGB", "mean": p.mean, "std": p.std, "interpolation": p.interpolation}
    ground = p.ground or tuple(round(255 * x) for x in p.mean)
    fill = {"fill_color": ground[0] if len(set(ground)) == 1 else list(ground)} if mode == "longest" else {}
    return cfg | {"resize_mode": mode} | fill


def _written_side(model: DualEncoder, name: str) -> Side:
    """A tower in its general form with the map after it. Raises CheckpointError for one that open_clip has not."""
    tower: Any = getattr(model, name)
    key, options = entry_of(tower).key, configuration(tower)["options"]
    taken: dict[str, tuple[str, ...]] = {
        "image": ("clip_vit", "open_clip_vit", "coca_vit", "modified_resnet", "siglip_vit", "timm")
    }
    taken |= {"text": ("clip_text", "open_clip_text", "coca_text", "siglip_text")}
    if key not in taken[name]:
        raise CheckpointError(
            f"open_clip has no name for the {name} tower {key}; it has one for {', '.join(taken[name])}"
        )
    if model.alike.tokens:
        raise CheckpointError("open_clip has no place for maps of tokens, which this model's similarity has")
    tensors = {k: v.detach().cpu() for k, v in tower.state_dict().items()}
    side = general(Side(key, options, tensors)).unfolded()
    if not model.projected:
        return side
    if side.map is not None:
        raise CheckpointError(f"open_clip has no place for a second map after the {name} tower")
    weight = getattr(model, f"{name}_projection").weight
    return Side(side.key, side.options, side.tensors, Linear(weight.detach().cpu()))


def _quick(image: Side, text: Side) -> bool:
    """Whether the model has quick-GELU. Raises CheckpointError where one of open_clip's own towers has, one not."""
    found = {side.options["activation"] == "quick_gelu" for side in (image, text) if side.key in NATIVE}
    if len(found) > 1:
        raise CheckpointError("open_clip has quick_gelu for both towers or for none; these are of two minds")
    return found.pop()
