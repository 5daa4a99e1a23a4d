"""A CLIP's weights as OpenAI and open_clip, or as transformers name them, and under the names of a DualEncoder of
`clip_vit` and `clip_text`; both ways, bit for bit.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021; Ilharco et al.,
"OpenCLIP", 2021; Wolf et al., "Transformers: State-of-the-Art Natural Language Processing", 2020.
"""

import math
from collections.abc import Mapping

from torch import Tensor

from dovetail.models.renaming import Renaming, under

CARRIED = ("input_resolution", "context_length", "vocab_size", "attn_mask")  # in such files, but no weights
MAPS = ("visual.proj", "text_projection")  # OpenAI's, which stand the other way round
SCALARS = ("log_scale", "bias")

_BLOCK = {
    "ln_1.": "norm_attention.",
    "attn.in_proj_": "qkv.",
    "attn.out_proj.": "out.",
    "ln_2.": "norm_mlp.",
    "mlp.c_fc.": "up.",
    "mlp.c_proj.": "down.",
}
_OPENAI = Renaming(
    (
        ("visual.proj", "image_projection.weight"),
        ("text_projection", "text_projection.weight"),
        ("logit_scale", "log_scale"),
        ("logit_bias", "bias"),
        ("visual.conv1.", "image.patches."),
        ("visual.class_embedding", "image.class_token"),
        ("visual.positional_embedding", "image.positions"),
        ("visual.ln_pre.", "image.first_norm."),
        ("visual.ln_post.", "image.transformer.norm."),
        ("token_embedding.", "text.words."),
        ("positional_embedding", "text.positions"),
        ("ln_final.", "text.transformer.norm."),
        *under("visual.transformer.resblocks.{}.", "image.transformer.blocks.{}.", _BLOCK),
        *under("transformer.resblocks.{}.", "text.transformer.blocks.{}.", _BLOCK),
    )
)
TRANSFORMERS_BLOCK = {  # of CLIP's towers, and of SigLIP's
    "layer_norm1.": "norm_attention.",
    "self_attn.q_proj.": "qkv[0].",
    "self_attn.k_proj.": "qkv[1].",
    "self_attn.v_proj.": "qkv[2].",
    "self_attn.out_proj.": "out.",
    "layer_norm2.": "norm_mlp.",
    "mlp.fc1.": "up.",
    "mlp.fc2.": "down.",
}
TRANSFORMERS_TOWERS = (
    ("logit_scale", "log_scale"),
    ("vision_model.embeddings.patch_embedding.", "image.patches."),
    ("vision_model.embeddings.position_embedding.weight", "image.positions"),
    ("vision_model.post_layernorm.", "image.transformer.norm."),
    ("text_model.embeddings.token_embedding.", "text.words."),
    ("text_model.embeddings.position_embedding.weight", "text.positions"),
    ("text_model.final_layer_norm.", "text.transformer.norm."),
    *under("vision_model.encoder.layers.{}.", "image.transformer.blocks.{}.", TRANSFORMERS_BLOCK),
    *under("text_model.encoder.layers.{}.", "text.transformer.blocks.{}.", TRANSFORMERS_BLOCK),
)
_TRANSFORMERS = Renaming(
    (
        ("visual_projection.", "image_projection."),
        ("text_projection.", "text_projection."),
        ("vision_model.embeddings.class_embedding", "image.class_token"),
        ("vision_model.pre_layrnorm.", "image.first_norm."),
        *TRANSFORMERS_TOWERS,
    )
)


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of an OpenAI or open_clip CLIP under our names and in our shapes; they share memory with those given.

    Raises ValueError for a tensor that this architecture does not have.
    """
    plain = {name.removeprefix("text."): value for name, value in state.items()}  # some models keep the tower apart
    turned = {k: v.T if k in MAPS else v for k, v in plain.items() if k not in CARRIED}
    return shaped(_OPENAI.ours(turned, "CLIP's towers; its architecture is another one"))


def original(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `renamed`, to OpenAI's names and shapes, the text tower not apart.

    Raises ValueError for a tensor that is none of a DualEncoder of `clip_vit` and `clip_text`.
    """
    found = _OPENAI.theirs(state, "clip_vit and clip_text")
    return {k: v.T if k in MAPS else as_convolution(v) if k == "visual.conv1.weight" else v for k, v in found.items()}


def from_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a CLIPModel under our names and in our shapes. Raises ValueError for one that it does not have."""
    weights = {k: v for k, v in state.items() if not k.endswith(".position_ids")}  # a table in older files
    return shaped(_TRANSFORMERS.ours(weights, "transformers' CLIPModel"))


def to_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `from_transformers`. Raises ValueError for a tensor that is none of a DualEncoder of `clip_vit`
    and `clip_text`."""
    found = _TRANSFORMERS.theirs(state, "clip_vit and clip_text")
    patches = "vision_model.embeddings.patch_embedding.weight"
    return {k: as_convolution(v) if k == patches else v for k, v in found.items()}


def shaped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our tensors in our shapes: the patches' map as a matrix, scale and bias without a dimension."""
    return {
        k: v.reshape(()) if k in SCALARS else v.flatten(1) if k == "image.patches.weight" else v
        for k, v in state.items()
    }


def as_convolution(patches: Tensor) -> Tensor:
    """The patches' map (d, 3 p p) as the kernel (d 3 p p) of a convolution."""
    side = math.isqrt(patches.shape[1] // 3)
    return patches.reshape(len(patches), 3, side, side)
