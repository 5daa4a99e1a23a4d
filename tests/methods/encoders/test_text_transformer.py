"""The text transformer against a padded one of torch's parts."""

import pytest
import torch
from torch import nn

from dovetail.contracts import Tokens
from dovetail.methods.encoders.text_transformer import TextTransformer


def _tokens() -> Tokens:
    mask = torch.tensor([[True, True, True, True], [True, True, False, False]])
    return Tokens(torch.tensor([[5, 9, 2, 5], [1, 7, 0, 0]]), mask)


def test_equals_a_padded_transformer() -> None:
    ours = TextTransformer(vocabulary=10, context=6, width=12, depth=2, heads=3).double()
    for p in ours.parameters():
        nn.init.normal_(p, std=0.3)
    x = _tokens()
    frame = ours.words.weight[x.ids] + ours.positions[:4]
    for block in ours.transformer.blocks:
        theirs = nn.MultiheadAttention(12, 3, batch_first=True).double()
        with torch.no_grad():
            theirs.in_proj_weight.copy_(block.qkv.weight)
            theirs.in_proj_bias.copy_(block.qkv.bias)
        theirs.out_proj = block.out
        seen = block.norm_attention(frame)
        frame = frame + theirs(seen, seen, seen, key_padding_mask=~x.mask, need_weights=False)[0]
        frame = frame + block.down(nn.GELU()(block.up(block.norm_mlp(frame))))
    frame = ours.transformer.norm(frame)
    found = ours(x)
    torch.testing.assert_close(found.tokens[x.mask], frame[x.mask], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.pooled[0], frame[0].mean(0), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.pooled[1], frame[1, :2].mean(0), rtol=1e-9, atol=1e-9)


def test_the_order_of_words_matters_and_later_words_are_seen() -> None:
    ours = TextTransformer(vocabulary=10, context=6, width=12, depth=2, heads=3)
    nn.init.normal_(ours.positions)
    mask = torch.ones(2, 3, dtype=torch.bool)
    found = ours(Tokens(torch.tensor([[1, 2, 3], [2, 1, 3]]), mask))
    assert not torch.allclose(found.pooled[0], found.pooled[1], atol=1e-4)
    later = ours(Tokens(torch.tensor([[1, 2, 3], [1, 2, 4]]), mask)).tokens
    assert not torch.allclose(later[0, 0], later[1, 0], atol=1e-6), "the first word sees the last"


def test_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="width 10 must be a multiple of heads 4"):
        TextTransformer(width=10, heads=4)
    short = TextTransformer(vocabulary=10, context=3, width=8, depth=1, heads=2)
    with pytest.raises(ValueError, match="4 tokens is longer than the context of 3"):
        short(_tokens())
