"""SigLIP's weights under our names: from transformers and back without a bit changed, and from big_vision."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import Siglip2Config, Siglip2Model, SiglipConfig, SiglipModel

from dovetail.models.siglip_weights import from_big_vision, from_transformers, to_transformers

SMALL = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}


def state(kind: str = "siglip") -> dict[str, Tensor]:
    text = {**SMALL, "vocab_size": 20, "max_position_embeddings": 6}
    if kind == "siglip":
        whole = SiglipModel(SiglipConfig(text_config=text, vision_config={**SMALL, "image_size": 16, "patch_size": 8}))
    else:
        vision = {**SMALL, "patch_size": 8, "num_patches": 4}
        whole = Siglip2Model(Siglip2Config(text_config=text, vision_config=vision))
    return {name: torch.randn(value.shape) for name, value in whole.state_dict().items()}


def test_transformers_names_and_back_bit_for_bit() -> None:
    given = state()
    ours = from_transformers({**given, "vision_model.embeddings.position_ids": torch.arange(4)[None]})
    assert ours["log_scale"].shape == ours["bias"].shape == () and ours["image.pool.probe"].shape == (16,)
    whole = given["vision_model.head.attention.in_proj_weight"]
    assert torch.equal(ours["image.pool.query.weight"], whole[:16])
    assert torch.equal(ours["image.pool.key_value.weight"], whole[16:])
    again = to_transformers(ours)
    assert again.keys() == given.keys()
    for name, value in again.items():
        assert value.shape == given[name].shape and torch.equal(value, given[name]), name


def test_a_naflex_map_reads_colours_last() -> None:
    given = state("siglip2")
    ours = from_transformers(given)["image.patches.weight"]
    pixels = torch.randn(3, 8, 8)
    wanted = given["vision_model.embeddings.patch_embedding.weight"] @ pixels.permute(1, 2, 0).flatten()
    torch.testing.assert_close(ours @ pixels.flatten(), wanted)


def test_says_what_is_of_another_architecture() -> None:
    with pytest.raises(ValueError, match="visual_projection.weight is no tensor of transformers' SiglipModel"):
        from_transformers({"visual_projection.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match="image.class_token is no tensor of siglip_vit and siglip_text"):
        to_transformers({"image.class_token": torch.zeros(1)})
    with pytest.raises(ValueError, match="img.cls is no tensor of big_vision's SigLIP"):
        from_big_vision({"img.cls": torch.zeros(1)})


@pytest.mark.parametrize("scanned", [False, True], ids=["blocks apart", "blocks stacked"])
def test_big_vision_names(scanned: bool) -> None:
    given = state()
    wanted = from_transformers(given)
    found = from_big_vision(
        {k.replace("/", "."): torch.from_numpy(v) for k, v in big_vision(given, (2, 2), scanned).items()}
    )
    assert found.keys() == wanted.keys()
    for name, value in found.items():
        assert value.shape == wanted[name].shape and torch.equal(value, wanted[name]), name


def big_vision(given: Mapping[str, Tensor], heads: tuple[int, int], scanned: bool = False) -> dict[str, np.ndarray]:
    """A SiglipModel's tensors as the arrays of big_vision, written once more from the shapes of its Flax modules, whose
    heads (image, text) are a dimension."""
    arrays: dict[str, np.ndarray] = {
        "t": given["logit_scale"].numpy(),
        "b": given["logit_bias"].numpy(),
        "img/embedding/kernel": given["vision_model.embeddings.patch_embedding.weight"].permute(2, 3, 1, 0).numpy(),
        "img/embedding/bias": given["vision_model.embeddings.patch_embedding.bias"].numpy(),
        "img/pos_embedding": given["vision_model.embeddings.position_embedding.weight"][None].numpy(),
        "txt/pos_embedding": given["text_model.embeddings.position_embedding.weight"][None].numpy(),
        "txt/Embed_0/embedding": given["text_model.embeddings.token_embedding.weight"].numpy(),
        "img/MAPHead_0/probe": given["vision_model.head.probe"].numpy(),
        **_linear(given, "text_model.head", "txt/head"),
        **_norm(given, "vision_model.post_layernorm", "img/Transformer/encoder_norm"),
        **_norm(given, "text_model.final_layer_norm", "txt/Encoder_0/encoder_norm"),
        **_norm(given, "vision_model.head.layernorm", "img/MAPHead_0/LayerNorm_0"),
        **_mlp(given, "vision_model.head.mlp", "img/MAPHead_0/MlpBlock_0"),
    }
    joint = "vision_model.head.attention"
    parts = {f"a.{p}_proj.{kind}": w for kind in ("weight", "bias") for p, w in
             zip("qkv", given[f"{joint}.in_proj_{kind}"].chunk(3), strict=True)}  # fmt: skip
    parts |= {f"a.out_proj.{kind}": given[f"{joint}.out_proj.{kind}"] for kind in ("weight", "bias")}
    arrays |= _attention(parts, "a", "img/MAPHead_0/MultiHeadDotProductAttention_0", heads[0])
    towers = (("vision_model", "img/Transformer"), ("text_model", "txt/Encoder_0"))
    for (tower, place), count in zip(towers, heads, strict=True):
        blocks = []
        while f"{tower}.encoder.layers.{len(blocks)}.layer_norm1.bias" in given:
            blocks.append(_block(given, f"{tower}.encoder.layers.{len(blocks)}", count))
        if scanned:
            arrays |= {f"{place}/encoderblock/{k}": np.stack([b[k] for b in blocks]) for k in blocks[0]}
        else:
            arrays |= {f"{place}/encoderblock_{i}/{k}": v for i, b in enumerate(blocks) for k, v in b.items()}
    return {name: np.ascontiguousarray(value) for name, value in arrays.items()}


def _block(given: Mapping[str, Tensor], layer: str, heads: int) -> dict[str, np.ndarray]:
    return {
        **_norm(given, f"{layer}.layer_norm1", "LayerNorm_0"),
        **_norm(given, f"{layer}.layer_norm2", "LayerNorm_1"),
        **_attention(given, f"{layer}.self_attn", "MultiHeadDotProductAttention_0", heads),
        **_mlp(given, f"{layer}.mlp", "MlpBlock_0"),
    }


def _attention(given: Mapping[str, Tensor], theirs: str, place: str, heads: int) -> dict[str, np.ndarray]:
    found = {}
    for letter, name in (("q", "query"), ("k", "key"), ("v", "value")):
        weight, bias = given[f"{theirs}.{letter}_proj.weight"], given[f"{theirs}.{letter}_proj.bias"]
        found[f"{place}/{name}/kernel"] = weight.T.reshape(weight.shape[1], heads, -1).numpy()
        found[f"{place}/{name}/bias"] = bias.reshape(heads, -1).numpy()
    weight = given[f"{theirs}.out_proj.weight"]
    found[f"{place}/out/kernel"] = weight.T.reshape(heads, -1, weight.shape[0]).numpy()
    return found | {f"{place}/out/bias": given[f"{theirs}.out_proj.bias"].numpy()}


def _mlp(given: Mapping[str, Tensor], theirs: str, place: str) -> dict[str, np.ndarray]:
    return {
        **_linear(given, f"{theirs}.fc1", f"{place}/Dense_0"),
        **_linear(given, f"{theirs}.fc2", f"{place}/Dense_1"),
    }


def _linear(given: Mapping[str, Tensor], theirs: str, place: str) -> dict[str, np.ndarray]:
    return {f"{place}/kernel": given[f"{theirs}.weight"].T.numpy(), f"{place}/bias": given[f"{theirs}.bias"].numpy()}


def _norm(given: Mapping[str, Tensor], theirs: str, place: str) -> dict[str, np.ndarray]:
    return {f"{place}/scale": given[f"{theirs}.weight"].numpy(), f"{place}/bias": given[f"{theirs}.bias"].numpy()}
