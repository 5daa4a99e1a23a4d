"""Small dual models of transformers with random weights, one of each family and of each awkward kind, and their
folders."""

from pathlib import Path
from typing import Any

import torch
import transformers

from dovetail.data.text import train_bpe

END = 250  # GroupViT pools at the first token of this id; at the highest when the configuration says 2
_BOTH = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
_WORDS = {"vocab_size": 300, "max_position_embeddings": 40, **_BOTH}
_PATCHES = {"image_size": 32, "patch_size": 8, **_BOTH}
_WINDOWS = {"image_size": 32, "patch_size": 4, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4}
_GROUPS = {"num_hidden_layers": 3, "depths": [1, 1, 1], "num_group_tokens": [8, 4, 0], "num_output_groups": [8, 4, 4]}
_BLOCKS = {
    "image_size": 32, "width_coefficient": 1.0, "depth_coefficient": 1.0, "kernel_sizes": [3, 5],
    "in_channels": [32, 16], "out_channels": [16, 24], "strides": [1, 2], "num_block_repeats": [1, 2],
    "expand_ratios": [1, 6], "hidden_dim": 24,
}  # fmt: skip


def _dual(kind: str, text: dict[str, Any], vision: dict[str, Any], **other: Any) -> dict[str, Any]:
    return {"model_type": kind, "projection_dim": 24, "text_config": text, "vision_config": vision, **other}


def _groupvit(end: int) -> dict[str, Any]:
    return _dual("groupvit", {**_WORDS, "eos_token_id": end}, {**_PATCHES, **_GROUPS}, projection_intermediate_dim=40)


CONFIGS: dict[str, dict[str, Any]] = {
    "align": _dual("align", _WORDS, _BLOCKS, temperature_init_value=0.0613),
    "align by maximum": _dual("align", _WORDS, {**_BLOCKS, "pooling_type": "max"}),
    "altclip": _dual("altclip", {**_WORDS, "project_dim": 28}, _PATCHES),
    "chinese_clip": _dual("chinese_clip", _WORDS, _PATCHES),
    "groupvit": _groupvit(2),
    "groupvit by id": _groupvit(END),
    "vit and bert": _dual(
        "vision-text-dual-encoder", {"model_type": "bert", **_WORDS}, {"model_type": "vit", **_PATCHES}
    ),
    "swin and roberta": _dual(
        "vision-text-dual-encoder", {"model_type": "roberta", **_WORDS}, {"model_type": "swin", **_WINDOWS}
    ),
    "clip and xlm-roberta": _dual(
        "vision-text-dual-encoder",
        {"model_type": "xlm-roberta", **_WORDS},
        {"model_type": "clip_vision_model", **_PATCHES},
    ),
}
TEXTS = ["a red circle", "two small blue squares left of a green star", "a dog", "ein Fuß im Schnee", "一只猫"]


def theirs(name: str) -> Any:
    """The model of transformers, with random weights that leave no part without effect."""
    model = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(**CONFIGS[name])).eval()
    for key, value in model.state_dict().items():
        if key.endswith("running_var"):
            value.uniform_(0.5, 2.0)
        elif value.is_floating_point() and value.ndim and "LayerNorm" not in key:
            value.normal_(std=0.3 if value.ndim < 3 else 0.1)
    return model


def saved(model: Any, folder: Path, processor: Any = None) -> Path:
    """A folder as transformers writes it, with a tokenizer whose ids all have positions."""
    model.save_pretrained(folder)
    backend = train_bpe(TEXTS, vocab_size=290, context=36).backend
    backend.no_truncation()
    names = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>"}
    words = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=36, **names)
    words.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    (processor or transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size)).save_pretrained(folder)
    return folder


def tokens(t: int = 5, longest: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask of texts of different lengths, padded with 1, each with END once and the highest id elsewhere."""
    lengths = (longest - 2 * torch.arange(t)).clamp_min(4)
    mask = torch.arange(longest)[None, :] < lengths[:, None]
    ids = torch.randint(3, END, mask.shape)
    ids[torch.arange(t), lengths - 1] = END
    ids[torch.arange(t), lengths - 2] = 299
    return ids.masked_fill(~mask, 1), mask
