"""Our ViT against timm's on the same weights."""

import pytest
import timm.models.vision_transformer
import torch

from dovetail.methods.encoders.vit import ViT

RENAMED = {
    ".norm1.": ".norm_attention.",
    ".attn.qkv.": ".qkv.",
    ".attn.proj.": ".out.",
    ".norm2.": ".norm_mlp.",
    ".mlp.fc1.": ".up.",
    ".mlp.fc2.": ".down.",
}


def _ours_and_theirs() -> tuple[ViT, torch.nn.Module]:
    theirs = timm.models.vision_transformer.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=24, depth=3, num_heads=3, class_token=False, global_pool="avg",
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
    ours = ViT(size=32, patch=8, width=24, depth=3, heads=3).double()
    ours.load_state_dict(state)
    return ours, theirs


def test_equals_timm_in_value_and_gradient() -> None:
    ours, theirs = _ours_and_theirs()
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64, requires_grad=True)
    found, tokens = ours(x), theirs.forward_features(x)
    pooled = theirs.forward_head(tokens)
    torch.testing.assert_close(found.tokens, tokens, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(found.pooled, pooled, rtol=1e-8, atol=1e-8)
    weights = torch.randn_like(pooled)
    left = _gradients(found.pooled * weights, x, ours.patches.weight, ours.positions)
    right = _gradients(pooled * weights, x, theirs.patch_embed.proj.weight, theirs.pos_embed)
    for a, b in zip(left, right, strict=True):
        torch.testing.assert_close(a, b.reshape(a.shape), rtol=1e-8, atol=1e-8)


def _gradients(value: torch.Tensor, *leaves: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return torch.autograd.grad(value.sum(), leaves, retain_graph=True)


def test_tokens_lie_as_the_patches_in_the_picture() -> None:
    ours, _ = _ours_and_theirs()
    assert ours(torch.zeros(1, 3, 32, 32, dtype=torch.float64)).grid == (4, 4)
    ours.transformer = torch.nn.Module()
    ours.transformer.forward = lambda x, layout: x  # what remains is the map of each patch alone
    x = torch.zeros(1, 3, 32, 32, dtype=torch.float64)
    x[0, :, 8:16, 24:] = 1  # second row, last column
    changed = (ours(x).tokens - ours(torch.zeros_like(x)).tokens).abs().sum(-1)[0]
    assert changed.nonzero()[:, 0].tolist() == [7]


def test_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"size 30 must be a multiple of patch 8"):
        ViT(size=30, patch=8)
    with pytest.raises(ValueError, match=r"width 20 of heads 3"):
        ViT(size=32, patch=8, width=20, heads=3)
    with pytest.raises(ValueError, match=r"reads images of 32 x 32 pixels, not 32 x 40"):
        ViT(size=32, patch=8, width=8, depth=1, heads=2)(torch.zeros(1, 3, 32, 40))
