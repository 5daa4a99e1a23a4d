"""CLIP's ResNet, as `vision_cfg` states it or as the shapes of its tensors tell, with the tensors, and back.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch

from dovetail.models.files import CheckpointError
from dovetail.models.layouts.open_clip_side import Side, Tensors, chosen, square
from dovetail.models.renaming import Renaming, under

VISION: dict[str, Any] = {
    "layers": None,
    "width": 64,
    "head_width": 64,
    "image_size": 224,
    "patch_size": None,  # means nothing here, as what follows
    "mlp_ratio": 4.0,
    "patch_dropout": 0.0,
    "output_tokens": False,
}
STRIDE = 32
_BLOCK = {"conv{}.": "conv{}.", "bn{}.": "bn{}.", "downsample.0.": "shortcut.", "downsample.1.": "shortcut_bn."}
_POOL = {
    "positional_embedding": "positions",
    "q_proj.": "query.",
    "k_proj.": "key.",
    "v_proj.": "value.",
    "c_proj.": "collect.",
}
NAMES = Renaming(
    (
        ("conv{}.", "conv{}."),
        ("bn{}.", "bn{}."),
        *under("layer{}.{}.", "layer{}.{}.", _BLOCK),
        *under("attnpool.", "", _POOL),
    )
)


def resnet_side(given: Mapping[str, Any], tensors: Tensors, embed_dim: int) -> Side:
    """A ResNet; `tensors` by their names without `visual.`. Raises CheckpointError for what the configuration asks for
    that is not supported."""
    cfg = chosen(given, VISION, {}, "vision_cfg")
    options = {
        "size": square(cfg["image_size"], "vision_cfg: image_size"),
        "layers": list(cfg["layers"]),
        "inner": cfg["width"],
        "heads": cfg["width"] * STRIDE // cfg["head_width"],
        "width": embed_dim,
    }
    try:
        ours = NAMES.ours(tensors, "CLIP's ResNet")
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    counts = {k.replace("running_mean", "num_batches_tracked"): torch.tensor(0) for k in ours if "running_mean" in k}
    return Side("modified_resnet", options, counts | ours)  # which OpenAI's files may lack


def resnet_cfg(side: Side) -> tuple[dict[str, Any], Tensors]:
    """The counterpart of `resnet_side`: the entries and the tensors without `visual.`."""
    o = side.options
    cfg = {"image_size": o["size"], "layers": o["layers"], "width": o["inner"]}
    return cfg | {"head_width": o["inner"] * STRIDE // o["heads"]}, NAMES.theirs(side.tensors, "CLIP's ResNet")


def resnet_inferred(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The `vision_cfg` that the shapes of a whole model's tensors tell, with heads of 64 numbers."""
    names = [name.split(".") for name in shapes if name.startswith("visual.layer")]
    layers = [len({parts[2] for parts in names if parts[1] == f"layer{i}"}) for i in (1, 2, 3, 4)]
    side = math.isqrt(shapes["visual.attnpool.positional_embedding"][0] - 1)
    return {"image_size": STRIDE * side, "layers": layers, "width": shapes["visual.layer1.0.conv1.weight"][0]}
