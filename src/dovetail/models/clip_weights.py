"""A CLIP's weights as OpenAI and open_clip name them, under the names of a DualEncoder of `clip_vit` and `clip_text`.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021; Ilharco et al.,
"OpenCLIP", 2021.
"""

from collections.abc import Mapping

from torch import Tensor

WHOLE = {
    "visual.proj": "image_projection.weight",
    "text_projection": "text_projection.weight",
    "logit_scale": "log_scale",
    "logit_bias": "bias",
}
TOWER = {
    "conv1.": "patches.",
    "class_embedding": "class_token",
    "positional_embedding": "positions",
    "ln_pre.": "first_norm.",
    "ln_post.": "transformer.norm.",
    "token_embedding.": "words.",
    "ln_final.": "transformer.norm.",
}
BLOCK = {
    "ln_1.": "norm_attention.",
    "attn.in_proj_": "qkv.",
    "attn.out_proj.": "out.",
    "ln_2.": "norm_mlp.",
    "mlp.c_fc.": "up.",
    "mlp.c_proj.": "down.",
}
CARRIED = ("input_resolution", "context_length", "vocab_size", "attn_mask")  # in such files, but no weights


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a CLIP under our names and in our shapes; they share memory with those given.

    Raises ValueError for a tensor that this architecture does not have.
    """
    found = {}
    for name, value in state.items():
        plain = name.removeprefix("text.")  # open_clip keeps the text tower apart in some models
        if plain in CARRIED:
            continue
        ours = WHOLE.get(plain) or _in_a_tower(plain)
        if ours is None:
            raise ValueError(f"{name} is no tensor of CLIP's towers; its architecture is another one")
        found[ours] = _shaped(value, plain)
    return found


def _in_a_tower(name: str) -> str | None:
    tower = "image" if name.startswith("visual.") else "text"
    inner = name.removeprefix("visual.")
    if inner.startswith("transformer.resblocks."):
        number, _, inner = inner.removeprefix("transformer.resblocks.").partition(".")
        return _replaced(inner, BLOCK, f"{tower}.transformer.blocks.{number}.")
    return _replaced(inner, TOWER, f"{tower}.")


def _replaced(name: str, table: Mapping[str, str], prefix: str) -> str | None:
    return next((prefix + new + name.removeprefix(old) for old, new in table.items() if name.startswith(old)), None)


def _shaped(value: Tensor, name: str) -> Tensor:
    if name in ("visual.proj", "text_projection"):
        return value.T
    if name in ("logit_scale", "logit_bias"):
        return value.reshape(())
    return value.flatten(1) if name == "visual.conv1.weight" else value
