"""CLIPpy's tower against timm's with maximum pooling on the same weights, and which patches learn."""

from dataclasses import replace

import pytest
import timm.models.vision_transformer
import torch

from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, scenes
from dovetail.evaluation.worlds.segments import TOP_DOWN, SegmentationBenchmark
from dovetail.methods.encoders.clippy import CLIPpy

RENAMED = {
    ".norm1.": ".norm_attention.",
    ".attn.qkv.": ".qkv.",
    ".attn.proj.": ".out.",
    ".norm2.": ".norm_mlp.",
    ".mlp.fc1.": ".up.",
    ".mlp.fc2.": ".down.",
}


def _ours_and_theirs() -> tuple[CLIPpy, torch.nn.Module]:
    theirs = timm.models.vision_transformer.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=24, depth=2, num_heads=3, class_token=False, global_pool="max",
        fc_norm=False, num_classes=0, norm_layer=torch.nn.LayerNorm,
    ).double()  # fmt: skip
    for p in theirs.parameters():
        torch.nn.init.normal_(p, std=0.2)
    state = {}
    for name, value in theirs.state_dict().items():
        if name.startswith("patch_embed.proj."):
            state[name.replace("patch_embed.proj", "patches")] = value.flatten(1) if value.ndim > 1 else value
        elif name == "pos_embed":
            state["positions"] = value[0]
        else:
            for old, new in RENAMED.items():
                name = name.replace(old, new)
            state[f"transformer.{name}"] = value
    ours = CLIPpy(size=32, patch=8, width=24, depth=2, heads=3).double()
    ours.tower.load_state_dict(state)
    return ours, theirs


def test_equals_timm_in_value_and_gradient() -> None:
    ours, theirs = _ours_and_theirs()
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64, requires_grad=True)
    found, tokens = ours(x), theirs.forward_features(x)
    pooled = theirs.forward_head(tokens)
    torch.testing.assert_close(found.tokens, tokens, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(found.pooled, pooled, rtol=1e-8, atol=1e-8)
    weights = torch.randn_like(pooled)
    mine = torch.autograd.grad((found.pooled * weights).sum(), [x, ours.tower.patches.weight, ours.tower.positions])
    other = torch.autograd.grad((pooled * weights).sum(), [x, theirs.patch_embed.proj.weight, theirs.pos_embed])
    for a, b in zip(mine, other, strict=True):
        torch.testing.assert_close(a, b.reshape(a.shape), rtol=1e-8, atol=1e-8)
    assert found.grid == (4, 4)


def test_each_number_is_that_of_one_patch() -> None:
    ours, _ = _ours_and_theirs()
    found = ours(torch.randn(1, 3, 32, 32, dtype=torch.float64))
    assert found.tokens is not None
    (gradient,) = torch.autograd.grad(found.pooled[0, 5], [found.tokens])
    assert gradient.count_nonzero() == 1
    assert gradient[0, found.tokens[0, :, 5].argmax(), 5] == 1


def test_dinos_tower_can_be_pooled_so_by_timm() -> None:
    """What the card says of the paper's start, on a small relative: the class token takes no part."""
    body = timm.create_model("test_vit", num_classes=0, img_size=64).eval()
    body.reset_classifier(0, "max")
    tokens = body.forward_features(torch.randn(2, 3, 64, 64))
    wanted = tokens[:, body.num_prefix_tokens :].amax(1)
    assert body.num_prefix_tokens == 1 and torch.equal(body.forward_head(tokens, pre_logits=True), wanted)


def test_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"size 30 must be a multiple of patch 8"):
        CLIPpy(size=30, patch=8)
    with pytest.raises(ValueError, match=r"reads images of 32 x 32 pixels, not 32 x 40"):
        CLIPpy(size=32, patch=8, width=8, depth=1, heads=2)(torch.zeros(1, 3, 32, 40))


CLAIM = Claim(
    says="Its patches tell what lies where better than those of the same tower that is pooled by the mean.",
    method=replace(RECIPE, objective="infonce", image="clippy(size=32, patch=8, width=64, depth=2, heads=2)"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=SegmentationBenchmark(held_out(GROUPS)),
    metric=TOP_DOWN,
)
