"""How transformers folders say what becomes of a picture: `preprocessor_config.json`, or the `image_processor` in
`processor_config.json`, as our Preprocessing, and back."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dovetail.data.preprocessing import HALF, OPENAI, Preprocessing, Triple
from dovetail.models.files import CheckpointError, read_json

FILE, JOINT = "preprocessor_config.json", "processor_config.json"
RESAMPLE = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers

_SQUARE = {"height": 224, "width": 224}
_SIGLIP = {"image_mean": HALF[0], "image_std": HALF[1], "resample": 3, "size": _SQUARE}
_CLIP = {
    "image_mean": OPENAI[0],
    "image_std": OPENAI[1],
    "resample": 3,
    "size": {"shortest_edge": 224},
    "crop_size": _SQUARE,
    "do_center_crop": True,
    "a_number_is": "shortest_edge",
}
DEFAULTS: dict[str, Mapping[str, Any]] = {  # what each kind of processor does where its file is silent
    "CLIPImageProcessor": _CLIP,
    "ChineseCLIPImageProcessor": _CLIP,
    "BitImageProcessor": _CLIP,
    "SiglipImageProcessor": {**_SIGLIP, "a_number_is": "shortest_edge"},
    "ViTImageProcessor": {**_SIGLIP, "resample": 2},
    "DeiTImageProcessor": {
        **_SIGLIP,
        "size": {"height": 256, "width": 256},
        "crop_size": _SQUARE,
        "do_center_crop": True,
    },
    "BlipImageProcessor": {
        **_CLIP,
        "size": {"height": 384, "width": 384},
        "do_center_crop": False,
        "a_number_is": None,
    },
    "EfficientNetImageProcessor": {
        **_SIGLIP,
        "size": {"height": 346, "width": 346},
        "crop_size": {"height": 289, "width": 289},
        "include_top": True,
    },
    "Siglip2ImageProcessor": {**_SIGLIP, "resample": 2, "size": None, "patch_size": 16, "max_num_patches": 256},
}


@dataclass(frozen=True)
class _Processor:
    """The entries of a file, with the defaults of its kind of processor behind them."""

    file: Path
    entries: Mapping[str, Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        value = self.entries.get(name)
        return self.defaults.get(name) if value is None else value

    def does(self, name: str, usually: bool = True) -> bool:
        value = self[name]
        return usually if value is None else bool(value)

    def wrong(self, what: str) -> CheckpointError:
        return CheckpointError(f"{self.file}: {what}; our preprocessing has no way to do that")


def preprocessing_of(place: Path) -> Preprocessing:
    """The preprocessing that a transformers folder states: the pixels are those of its processors on Pillow.

    What a NaFlex processor (SigLIP 2) resizes to as many patches as its picture's aspect ratio asks for is squashed to
    a square of patches instead, which is the same for square pictures alone.

    Raises CheckpointError when there is no such file, or for what our preprocessing cannot do.
    """
    held = _processor(place)
    size, resize, scaled = _shape(held)
    mean, std = _levels(held)
    return Preprocessing(
        size=size, mean=mean, std=std, interpolation=_interpolation(held), resize=resize, scaled=scaled
    )


def preprocessor_config(p: Preprocessing) -> dict[str, Any]:
    """The entries of `preprocessor_config.json` for a preprocessing. What `crop` leaves over is rounded otherwise
    there: some pictures are cut a pixel further left or up. Raises CheckpointError for a preprocessing that pads."""
    if p.resize == "pad":
        raise CheckpointError(
            "transformers' image processors have no way to pad a picture to a square; write the model in our own layout"
        )
    scaled = p.scaled or p.size
    squashed = p.resize == "squash"
    return {
        "image_processor_type": "SiglipImageProcessor" if squashed and scaled == p.size else "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": scaled, "width": scaled} if squashed else {"shortest_edge": scaled},
        "resample": next(number for number, name in RESAMPLE.items() if name == p.interpolation),
        "do_center_crop": not (squashed and scaled == p.size),
        "crop_size": {"height": p.size, "width": p.size},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(p.mean),
        "image_std": list(p.std),
    }


def _processor(place: Path) -> _Processor:
    joint = read_json(place / JOINT) if (place / JOINT).is_file() else {}
    if isinstance(joint, dict) and isinstance(joint.get("image_processor"), dict):
        file, entries = place / JOINT, joint["image_processor"]
    elif (place / FILE).is_file():
        file, entries = place / FILE, read_json(place / FILE)
    else:
        raise CheckpointError(
            f"{place / FILE}: the file is missing, and nothing else in the folder says how the model's pictures are "
            "made; save its image processor there (image_processor.save_pretrained)"
        )
    if not isinstance(entries, dict):
        raise CheckpointError(f"{file}: holds no object; save the image processor again")
    stated = str(entries.get("image_processor_type") or entries.get("feature_extractor_type") or "")
    kind = stated.removesuffix("Fast").removesuffix("Pil").replace("FeatureExtractor", "ImageProcessor")
    if kind not in DEFAULTS:
        raise CheckpointError(
            f"{file}: the image processor is {stated or 'not named'}; there are {', '.join(DEFAULTS)}"
        )
    return _Processor(file, entries, DEFAULTS[kind])


def _shape(held: _Processor) -> tuple[int, str, int | None]:
    """Pixels a side, the way of resizing and the side that is scaled to."""
    if held["max_num_patches"]:
        return _patches(held), "squash", None
    if not held.does("do_resize"):
        raise held.wrong("do_resize is false, so that pictures keep their size")
    if held.does("do_pad", False):
        raise held.wrong("do_pad is true")
    size = _sides(held, "size", held["a_number_is"] or "height")
    cropped = held.does("do_center_crop", False)
    if size.keys() == {"shortest_edge"} and cropped:
        side = _side(held, "crop_size")
        if side > size["shortest_edge"]:
            raise held.wrong(f"crop_size {side} is larger than the shortest_edge {size['shortest_edge']}")
        return side, "crop_floor", None if side == size["shortest_edge"] else size["shortest_edge"]
    if size.keys() != {"height", "width"} or size["height"] != size["width"]:
        raise held.wrong(f"size {size} {'with' if cropped else 'without'} a centre crop makes no square")
    whole = size["height"]
    side = _side(held, "crop_size") if cropped else whole
    rest = whole - side
    if rest < 0 or rest % 4 == 3:  # there Pillow's crop and ours take different middles
        raise held.wrong(f"crop_size {side} is cut from {whole} pixels")
    return side, "squash", whole if rest else None


def _sides(held: _Processor, name: str, number: str) -> dict[str, int]:
    """A size as its file states it, older ones as a number or a list, without entries of None."""
    value = held[name]
    if isinstance(value, int):
        return {"shortest_edge": value} if number == "shortest_edge" else {"height": value, "width": value}
    if isinstance(value, list | tuple) and len(value) == 2:
        return {"height": int(value[0]), "width": int(value[1])}
    if not isinstance(value, Mapping):
        raise held.wrong(f"{name} is {value!r}")
    return {k: int(v) for k, v in value.items() if v is not None}


def _side(held: _Processor, name: str) -> int:
    """The side of a size that is a square."""
    sides = _sides(held, name, "height")
    if sides.keys() != {"height", "width"} or sides["height"] != sides["width"]:
        raise held.wrong(f"{name} {sides} is no square")
    return sides["height"]


def _patches(held: _Processor) -> int:
    count, patch = int(held["max_num_patches"]), int(held["patch_size"])
    if math.isqrt(count) ** 2 != count:
        raise held.wrong(f"max_num_patches {count} are no square of patches")
    return math.isqrt(count) * patch


def _interpolation(held: _Processor) -> str:
    if held["resample"] not in RESAMPLE:
        raise held.wrong(f"resample is {held['resample']!r}")
    return RESAMPLE[held["resample"]]


def _levels(held: _Processor) -> tuple[Triple, Triple]:
    """Mean and standard deviation of (x / 255 - mean) / std, into which all the processor's steps are gathered."""
    factor = held["rescale_factor"] or 1 / 255
    scale = 255 * float(factor) if held.does("do_rescale") else 255.0
    scale = float(round(scale)) if abs(scale - round(scale)) < 1e-6 else scale  # 255 / 255 and 255 / 127.5 are whole
    offset = 1.0 if held.does("rescale_offset", False) and held.does("do_rescale") else 0.0
    normalised, again = held.does("do_normalize"), held.does("include_top", False)
    mean, std = _triple(held["image_mean"]), _triple(held["image_std"])
    m = [(offset + (x if normalised else 0.0)) / scale for x in mean]
    s = [(x if normalised else 1.0) * (x if again else 1.0) / scale for x in std]
    return (m[0], m[1], m[2]), (s[0], s[1], s[2])


def _triple(value: Any) -> Triple:
    if isinstance(value, int | float):
        return (float(value),) * 3
    red, green, blue = value
    return float(red), float(green), float(blue)
