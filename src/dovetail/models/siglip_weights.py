"""A SigLIP's weights as transformers or big_vision name them, under the names of a DualEncoder of `siglip_vit` and
`siglip_text`; to transformers' also back, bit for bit.

Zhai et al., "Sigmoid Loss for Language Image Pre-Training", 2023; Tschannen et al., "SigLIP 2: Multilingual
Vision-Language Encoders with Improved Semantic Understanding, Localization, and Dense Features", 2025.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from dovetail.models.clip_weights import SCALARS, TRANSFORMERS_TOWERS, as_convolution, shaped
from dovetail.models.renaming import Renaming, under

_TRANSFORMERS = Renaming(
    (
        ("logit_bias", "bias"),
        ("text_model.head.", "text.head."),
        ("vision_model.head.probe", "image.pool.probe"),
        ("vision_model.head.attention.in_proj_", "image.pool.qkv."),
        ("vision_model.head.attention.out_proj.", "image.pool.out."),
        ("vision_model.head.layernorm.", "image.pool.norm."),
        ("vision_model.head.mlp.fc1.", "image.pool.up."),
        ("vision_model.head.mlp.fc2.", "image.pool.down."),
        *TRANSFORMERS_TOWERS,
    )
)
_QUERY, _KEY_VALUE, _ALL = "image.pool.query.", "image.pool.key_value.", "image.pool.qkv."
_PATCHES = "vision_model.embeddings.patch_embedding.weight"

_BLOCK = {  # big_vision's, once the blocks of a scan are apart
    "LayerNorm_0.": "norm_attention.",
    "MultiHeadDotProductAttention_0.query.": "qkv[0].",
    "MultiHeadDotProductAttention_0.key.": "qkv[1].",
    "MultiHeadDotProductAttention_0.value.": "qkv[2].",
    "MultiHeadDotProductAttention_0.out.": "out.",
    "LayerNorm_1.": "norm_mlp.",
    "MlpBlock_0.Dense_0.": "up.",
    "MlpBlock_0.Dense_1.": "down.",
}
_POOL = {
    "probe": "probe",
    "MultiHeadDotProductAttention_0.query.": "query.",
    "MultiHeadDotProductAttention_0.key.": "key_value[0].",
    "MultiHeadDotProductAttention_0.value.": "key_value[1].",
    "MultiHeadDotProductAttention_0.out.": "out.",
    "LayerNorm_0.": "norm.",
    "MlpBlock_0.Dense_0.": "up.",
    "MlpBlock_0.Dense_1.": "down.",
}
_BIG_VISION = Renaming(
    (
        ("t", "log_scale"),
        ("b", "bias"),
        ("img.embedding.", "image.patches."),
        ("img.pos_embedding", "image.positions"),
        ("img.Transformer.encoder_norm.", "image.transformer.norm."),
        *under("img.Transformer.encoderblock_{}.", "image.transformer.blocks.{}.", _BLOCK),
        *under("img.MAPHead_0.", "image.pool.", _POOL),
        ("txt.Embed_0.embedding", "text.words.weight"),
        ("txt.pos_embedding", "text.positions"),
        ("txt.Encoder_0.encoder_norm.", "text.transformer.norm."),
        *under("txt.Encoder_0.encoderblock_{}.", "text.transformer.blocks.{}.", _BLOCK),
        ("txt.head.", "text.head."),
    )
)


def from_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a SiglipModel under our names and in our shapes, or of a Siglip2Model, whose map reads a patch
    with the colours last. Raises ValueError for a tensor that they do not have."""
    weights = {k: v for k, v in state.items() if not k.endswith(".position_ids")}
    if _PATCHES in weights and weights[_PATCHES].ndim == 2:
        weights[_PATCHES] = _colours_first(weights[_PATCHES])
    found = shaped(_TRANSFORMERS.ours(weights, "transformers' SiglipModel"))
    for kind in ("weight", "bias"):
        if (whole := found.pop(_ALL + kind, None)) is not None:
            width = len(whole) // 3
            found |= {_QUERY + kind: whole[:width], _KEY_VALUE + kind: whole[width:]}
    if "image.pool.probe" in found:
        found["image.pool.probe"] = found["image.pool.probe"].flatten()
    return found


def to_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `from_transformers`, for a SiglipModel. Raises ValueError for a tensor that is none of a
    DualEncoder of `siglip_vit` and `siglip_text`."""
    whole = {k: v for k, v in state.items() if not k.startswith((_QUERY, _KEY_VALUE))}
    for kind in ("weight", "bias"):
        if _QUERY + kind in state and _KEY_VALUE + kind in state:
            whole[_ALL + kind] = torch.cat([state[_QUERY + kind], state[_KEY_VALUE + kind]])
    whole |= {k: whole[k].reshape(1) for k in SCALARS if k in whole}
    found = _TRANSFORMERS.theirs(whole, "siglip_vit and siglip_text")
    return {
        k: as_convolution(v) if k == _PATCHES else v.reshape(1, 1, -1) if k == "vision_model.head.probe" else v
        for k, v in found.items()
    }


def from_big_vision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The arrays of a big_vision checkpoint, named by their paths with dots (`img.embedding.kernel`), under our names
    and in our shapes. Raises ValueError for one that its SigLIP does not have."""
    apart = {k: v for name, value in state.items() for k, v in _unscanned(name, value).items()}
    plain = {}
    for name, value in apart.items():
        stem, _, last = name.rpartition(".")
        named = f"{stem}.weight" if last in ("kernel", "scale") else name
        plain[named] = _transposed(name, value)
    return shaped(_BIG_VISION.ours(plain, "big_vision's SigLIP"))


def _unscanned(name: str, value: Tensor) -> dict[str, Tensor]:
    """A tensor of all blocks, which big_vision stacks when it scans over them, as one a block."""
    if ".encoderblock." not in name:
        return {name: value}
    return {name.replace(".encoderblock.", f".encoderblock_{i}."): part for i, part in enumerate(value)}


def _transposed(name: str, value: Tensor) -> Tensor:
    """A tensor in torch's order: what a map gives first, its heads in a row."""
    if name in ("t", "b"):
        return value.reshape(())
    if name.endswith(("pos_embedding", "probe")):
        return value.flatten(0, -2) if name.endswith("pos_embedding") else value.flatten()
    if name == "img.embedding.kernel":  # (p p 3 d)
        return value.permute(3, 2, 0, 1)
    attention = re.search(r"\.(query|key|value|out)\.(kernel|bias)$", name)
    if attention and attention[2] == "bias":
        return value.flatten()
    if attention:  # (d heads d/heads), for out (heads d/heads d)
        return (value.flatten(0, 1) if attention[1] == "out" else value.flatten(1)).T
    return value.T if name.endswith(".kernel") else value


def _colours_first(patches: Tensor) -> Tensor:
    """The map of patches whose numbers lie as (p p 3), as the kernel of a convolution."""
    side = round((patches.shape[1] // 3) ** 0.5)
    return patches.unflatten(1, (side, side, 3)).permute(0, 3, 1, 2)
