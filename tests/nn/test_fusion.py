"""Words that look at an image, against torch's own attention."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dovetail.nn.fusion import Fusion, FusionBlock


@pytest.mark.parametrize(("width", "heads"), [(8, 1), (128, 2), (130, 2), (194, 2), (192, 3)])
def test_a_block_is_torchs_attention_and_a_perceptron(width: int, heads: int) -> None:
    torch.manual_seed(0)
    block = FusionBlock(width, 6).double()
    assert block.heads == heads
    x, seen = torch.randn(3, 4, width, dtype=torch.float64), torch.randn(3, 5, 6, dtype=torch.float64)
    key, value = block.key_value.weight.chunk(2)
    attention = nn.MultiheadAttention(width, heads, kdim=6, vdim=6, batch_first=True, dtype=torch.float64)
    own = {
        "q_proj_weight": block.query.weight,
        "k_proj_weight": key,
        "v_proj_weight": value,
        "in_proj_bias": torch.cat([block.query.bias, block.key_value.bias]),
        "out_proj.weight": block.out.weight,
        "out_proj.bias": block.out.bias,
    }
    attention.load_state_dict({k: v.detach() for k, v in own.items()})
    patches = block.norm_seen(seen)
    y = x + attention(block.norm_words(x), patches, patches)[0]
    y = y + block.down(F.gelu(block.up(block.norm_mlp(y))))
    torch.testing.assert_close(block(x, seen), y)


def test_every_block_looks_at_the_image() -> None:
    torch.manual_seed(0)
    fusion = Fusion(8, 6, depth=2)
    x, seen = torch.randn(3, 4, 8), torch.randn(3, 5, 6)
    torch.testing.assert_close(fusion(x, seen), fusion.blocks[1](fusion.blocks[0](x, seen), seen))
    other = seen.clone()
    other[1] += 1
    changed = (fusion(x, seen) != fusion(x, other)).flatten(1).any(1)
    assert changed.tolist() == [False, True, False]
    assert all(p.grad is not None for p in fusion.parameters() if fusion(x, seen).sum().backward() is None)
