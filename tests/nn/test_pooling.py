"""Attention pooling against its definition with torch's own attention."""

import torch
from torch import nn

from dovetail.nn.pooling import AttentionPooling


def test_equals_its_definition_in_value_and_gradient() -> None:
    pool = AttentionPooling(12, 3, mlp_ratio=2.5, eps=1e-3).double()
    for p in pool.parameters():
        nn.init.normal_(p, std=0.5)
    theirs = nn.MultiheadAttention(12, 3, batch_first=True).double()
    theirs.load_state_dict(
        {
            "in_proj_weight": torch.cat([pool.query.weight, pool.key_value.weight]),
            "in_proj_bias": torch.cat([pool.query.bias, pool.key_value.bias]),
            "out_proj.weight": pool.out.weight,
            "out_proj.bias": pool.out.bias,
        }
    )
    tokens = torch.randn(4, 7, 12, dtype=torch.float64, requires_grad=True)
    z = theirs(pool.probe.expand(4, 1, 12), tokens, tokens)[0][:, 0]
    wanted = z + pool.down(nn.functional.gelu(pool.up(pool.norm(z))))
    found = pool(tokens)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)
    weights = torch.randn_like(found)
    (left,) = torch.autograd.grad((found * weights).sum(), tokens)
    (right,) = torch.autograd.grad((wanted * weights).sum(), tokens)
    torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-10)
    assert pool.up.out_features == 30 and pool.norm.eps == 1e-3


def test_the_order_of_the_tokens_is_nothing() -> None:
    pool, tokens = AttentionPooling(8, 2).double(), torch.randn(2, 5, 8, dtype=torch.float64)
    torch.testing.assert_close(pool(tokens), pool(tokens.flip(1)))
