"""open_clip's ViT in float64 on the same weights: pooled vectors of each kind; its parity in whole models is tested
with the layout (tests/models/layouts/test_open_clip_towers.py)."""

import re
from typing import Any

import pytest
import torch
from open_clip.transformer import VisionTransformer

from dovetail.methods.encoders.open_clip_vit import OpenClipViT

KINDS: dict[str, dict[str, Any]] = {
    "class": {"pool_type": "tok"},
    "mean": {"pool_type": "avg"},
    "mean_norm": {"pool_type": "avg", "final_ln_after_pool": True},
}
NAMES = (
    (r"^conv1\.", "patches."),
    (r"^class_embedding", "class_token"),
    (r"^positional_embedding", "positions"),
    (r"^ln_pre\.", "first_norm."),
    (r"^ln_post\.", "last_norm."),
    (r"\.resblocks\.", ".blocks."),
    (r"\.ln_1\.", ".norm_attention."),
    (r"\.ln_2\.", ".norm_mlp."),
    (r"\.attn\.in_proj_", ".qkv."),
    (r"\.attn\.out_proj\.", ".out."),
    (r"\.mlp\.c_fc\.", ".up."),
    (r"\.mlp\.c_proj\.", ".down."),
    (r"\.ls_1\.gamma", ".scale_attention.factors"),
    (r"\.ls_2\.gamma", ".scale_mlp.factors"),
)


@pytest.mark.parametrize("pool", KINDS)
@pytest.mark.parametrize("layer_scale", [None, 0.2])
def test_vectors_and_gradients_equal_open_clips(pool: str, layer_scale: float | None) -> None:
    theirs: Any = VisionTransformer(
        16, 4, 24, 2, 3, 2.0, ls_init_value=layer_scale, output_dim=5, **KINDS[pool]
    ).double()
    for p in theirs.parameters():
        torch.nn.init.normal_(p, std=0.3)
    ours = OpenClipViT(16, 4, 24, 2, 3, 2.0, pool=pool, layer_scale=layer_scale, out=(5, False)).double()
    state = {}
    for name, value in theirs.state_dict().items():
        for old, new in NAMES:
            name = re.sub(old, new, name)
        state["head.map.weight" if name == "proj" else name] = value.T if name == "proj" else value
    state["patches.weight"] = state["patches.weight"].flatten(1)
    ours.load_state_dict(state)
    x = torch.randn(3, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    found, expected = ours(x), theirs(x)
    torch.testing.assert_close(found.pooled, expected, rtol=1e-10, atol=1e-10)
    weights = torch.randn_like(expected)
    left, right = (torch.autograd.grad((y * weights).sum(), x)[0] for y in (found.pooled, expected))
    torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-9)
    assert found.grid == (4, 4) and ours.width == 5 and ours.token_width == 24


def test_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="size 30 must be a multiple of patch 8"):
        OpenClipViT(size=30, patch=8)
    with pytest.raises(ValueError, match="pool must be one of class, mean, mean_norm, not 'max'"):
        OpenClipViT(pool="max")
    with pytest.raises(ValueError, match="reads images of 16 x 16 pixels, not 16 x 24"):
        OpenClipViT(size=16, patch=8, inner=8, depth=1, heads=2)(torch.zeros(1, 3, 16, 24))
