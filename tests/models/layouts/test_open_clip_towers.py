"""Models of open_clip's own towers, in each way that its configuration knows: the same embeddings and scores."""

from pathlib import Path
from typing import Any

import pytest
import torch

import dovetail
from dovetail.catalogue import entry_of
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.layouts.open_clip import write
from tests.models.layouts.open_clips import CAPTIONS, config, opened, saved, tokens

EOS = 49407
NATIVE: dict[str, tuple[dict[str, Any], str]] = {  # and the towers that they shall be
    "clip": (config(), "clip_vit clip_text"),
    "quick_gelu": (config(quick_gelu=True), "clip_vit clip_text"),
    "mean": (config({"pool_type": "avg"}), "open_clip_vit clip_text"),
    "mean_norm": (config({"pool_type": "avg", "final_ln_after_pool": True}), "open_clip_vit clip_text"),
    "class_norm": (config({"final_ln_after_pool": True}), "clip_vit clip_text"),
    "no_ln_pre": (config({"no_ln_pre": True}), "clip_vit clip_text"),
    "layer_scale": (config({"ls_init_value": 0.1}, {"ls_init_value": 0.2}), "open_clip_vit open_clip_text"),
    "ratio": (config({"mlp_ratio": 2.3}, {"mlp_ratio": 1.7}), "clip_vit clip_text"),  # of which open_clip rounds down
    "tanh": (config({"act_kwargs": {"approximate": "tanh"}}), "clip_vit clip_text"),
    "eps": (config({"norm_kwargs": {"eps": 0.1}}, {"norm_kwargs": {"eps": 0.2}}), "clip_vit clip_text"),
    "custom_block": (config({"block_type": "custom"}), "clip_vit clip_text"),
    "sines": (config({"pos_embed_type": "sin_cos_2d"}), "clip_vit clip_text"),
    "both_ways": (config(text={"no_causal_mask": True}), "clip_vit open_clip_text"),
    "first": (config(text={"pool_type": "first", "no_causal_mask": True}), "clip_vit open_clip_text"),
    "last": (config(text={"pool_type": "last"}), "clip_vit open_clip_text"),
    "end": (config(text={"pool_type": "eos", "eos_id": EOS}), "clip_vit clip_text"),
    "end_not_there": (config(text={"pool_type": "eos", "eos_id": 2}), "clip_vit clip_text"),
    "biased": (config(text={"proj_bias": True}), "open_clip_vit open_clip_text"),
    "siglip_text": (
        config(text={"proj_bias": True, "no_causal_mask": True, "pool_type": "last"}),
        "open_clip_vit siglip_text",
    ),
    "no_map": (config(text={"proj_type": "none", "width": 12}), "open_clip_vit clip_text"),
    "apart": (config(custom_text=True), "clip_vit clip_text"),
    "scale_1d": (config(nonscalar_logit_scale=True, init_logit_bias=-3.0), "clip_vit clip_text"),
    "queries": (
        config({"attentional_pool": True, "attn_pooler_queries": 5, "attn_pooler_heads": 3}, {"embed_cls": True})
        | {"custom_text": True},
        "coca_vit coca_text",
    ),
    "queries_one_width": (
        config(
            {"attentional_pool": True, "attn_pooler_queries": 5}, {"embed_cls": True}, custom_text=True, embed_dim=32
        ),
        "coca_vit coca_text",
    ),
}


@pytest.mark.parametrize("name", NATIVE)
def test_embeddings_and_scores_equal_open_clips_there_and_back(name: str, tmp_path: Path) -> None:
    cfg, towers = NATIVE[name]
    theirs = saved(dict(cfg), tmp_path / "theirs")
    ours = dovetail.load(tmp_path / "theirs")
    assert [entry_of(tower).key for tower in (ours.image, ours.text)] == towers.split()
    equal(ours, theirs, tokens(tmp_path / "theirs", CAPTIONS))
    write(ours, tmp_path / "ours")
    again = opened(tmp_path / "ours")
    equal(ours, again, tokens(tmp_path / "ours", CAPTIONS))
    bare = {k.removeprefix("text."): v for k, v in theirs.state_dict().items()}
    for key, value in again.state_dict().items():
        assert torch.equal(value, bare[key.removeprefix("text.")].reshape(value.shape)), key
    assert len(again.state_dict()) == len(bare)


def equal(ours: DualEncoder, theirs: Any, ids: torch.Tensor, texts: list[str] = CAPTIONS) -> None:
    """Embeddings and scores are the same."""
    pixels = torch.randn(3, 3, ours.preprocessing.size, ours.preprocessing.size)
    with torch.no_grad():
        images, words = ours.image_features(pixels).pooled, ours.text_features(ours.tokenizer(texts)).pooled
        a, b = theirs.encode_image(pixels), theirs.encode_text(ids)
        torch.testing.assert_close(images, a, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(words, b, rtol=1e-5, atol=1e-5)
        scores = (
            theirs.logit_scale.exp()
            * torch.nn.functional.normalize(a, dim=-1)
            @ torch.nn.functional.normalize(b, dim=-1).T
        )
        scores = scores + (0 if theirs.logit_bias is None else theirs.logit_bias)
        found = (
            ours.scale * torch.nn.functional.normalize(images, dim=-1) @ torch.nn.functional.normalize(words, dim=-1).T
        )
        torch.testing.assert_close(found + (0 if ours.bias is None else ours.bias), scores, rtol=1e-5, atol=1e-4)
