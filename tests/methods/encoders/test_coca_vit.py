"""CoCa's pooling against open_clip's on the same weights; the whole tower is tested with the layout
(tests/models/layouts/test_open_clip.py)."""

from typing import Any

import pytest
import torch
from open_clip.transformer import AttentionalPooler

from dovetail.methods.encoders.coca_vit import CocaViT


def test_what_the_queries_find_equals_open_clips() -> None:
    theirs: Any = AttentionalPooler(12, 24, n_head=3, n_queries=5).double()
    for p in theirs.parameters():
        torch.nn.init.normal_(p, std=0.4)
    ours = CocaViT(size=16, patch=8, inner=24, depth=1, heads=3, queries=5, pool_heads=3, width=12).double()
    attention = theirs.attn
    query, key, value = attention.in_proj_bias.chunk(3)
    state = {
        "probes": theirs.query,
        "norm_probes.weight": theirs.ln_q.weight,
        "norm_probes.bias": theirs.ln_q.bias,
        "transformer.norm.weight": theirs.ln_k.weight,
        "transformer.norm.bias": theirs.ln_k.bias,
        "query.weight": attention.q_proj_weight,
        "key.weight": attention.k_proj_weight,
        "value.weight": attention.v_proj_weight,
        "query.bias": query,
        "key.bias": key,
        "value.bias": value,
        "collect.weight": attention.out_proj.weight,
        "collect.bias": attention.out_proj.bias,
    }
    assert not ours.load_state_dict(state, strict=False).unexpected_keys
    tokens = torch.randn(2, 9, 24, dtype=torch.float64)
    found = ours._gathered(ours.transformer.norm(tokens))
    torch.testing.assert_close(found, ours.last_norm(theirs(tokens)), rtol=1e-10, atol=1e-10)


def test_the_first_query_is_the_images() -> None:
    ours = CocaViT(size=16, patch=8, inner=24, depth=1, heads=3, queries=5, pool_heads=3, width=12)
    found = ours(torch.randn(2, 3, 16, 16))
    assert found.pooled.shape == (2, 12) and found.tokens.shape == (2, 4, 12) and found.grid is None


def test_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="width 512 of the pooling's heads 7"):
        CocaViT(pool_heads=7)
    with pytest.raises(ValueError, match="reads images of 16 x 16 pixels, not 16 x 24"):
        CocaViT(size=16, patch=8, inner=8, depth=1, heads=2)(torch.zeros(1, 3, 16, 24))
