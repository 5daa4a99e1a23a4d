"""CLIP's image tower against open_clip's on the same weights, tokens included, and its options."""

import pytest
import torch
from torch import nn

from dovetail.methods.encoders.clip_vit import ClipViT
from tests.models.clip_pair import pair


def test_tokens_and_gradients_equal_open_clips() -> None:
    whole, other = pair()
    ours, theirs = whole.image, other.visual
    theirs.output_tokens, theirs.proj = True, None
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64, requires_grad=True)
    found = ours(x)
    pooled, tokens = theirs(x)
    torch.testing.assert_close(found.pooled, pooled, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found.tokens, tokens, rtol=1e-10, atol=1e-10)
    assert found.grid == (4, 4)
    weights = torch.randn_like(tokens)
    (left,) = torch.autograd.grad((found.tokens * weights).sum() + found.pooled.sum(), x)
    (right,) = torch.autograd.grad((tokens * weights).sum() + pooled.sum(), x)
    torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-9)


def test_the_options_are_what_they_say() -> None:
    small = {"size": 16, "patch": 8, "width": 8, "depth": 1, "heads": 2}
    plain = ClipViT(**small)
    assert plain.patches.bias is None and isinstance(plain.first_norm, nn.LayerNorm)
    other = ClipViT(**small, mlp_ratio=2.5, norm_before=False, patch_bias=True, eps=1e-6)
    assert other.patches.bias is not None and isinstance(other.first_norm, nn.Identity)
    assert other.transformer.blocks[0].up.out_features == 20
    assert {m.eps for m in other.modules() if isinstance(m, nn.LayerNorm)} == {1e-6}


def test_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"size 30 must be a multiple of patch 8"):
        ClipViT(size=30, patch=8)
    with pytest.raises(ValueError, match=r"activation must be one of gelu, gelu_tanh, quick_gelu, not 'relu'"):
        ClipViT(activation="relu")
    with pytest.raises(ValueError, match=r"reads images of 16 x 16 pixels, not 16 x 24"):
        ClipViT(size=16, patch=8, width=8, depth=1, heads=2)(torch.zeros(1, 3, 16, 24))
