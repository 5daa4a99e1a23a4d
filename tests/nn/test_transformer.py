"""The flat transformer against torch's own on the same weights, and the layout that makes it flat."""

import pytest
import torch
from torch import Tensor, nn

from dovetail.nn.transformer import (
    ACTIVATIONS,
    Layout,
    Transformer,
    activation_named,
    flat_positions,
    last_token,
    mean_pool,
)

WIDTH, DEPTH, HEADS = 16, 3, 4


def _mask() -> Tensor:
    return torch.tensor([[True, True, True, False, False], [True, False, False, False, False], [True] * 5])


def test_spread_and_pack_undo_each_other() -> None:
    layout = Layout.of(_mask())
    flat = torch.randn(9, 4)
    frame = layout.spread(flat)
    assert frame.shape == (3, 5, 4)
    assert torch.equal(layout.pack(frame), flat)
    assert not frame[~_mask()].any()
    assert torch.equal(layout.spread(layout.pack(frame)), frame)
    assert torch.equal(frame[2], flat[4:]) and torch.equal(frame[1, 0], flat[3])


def test_real_tokens_need_not_come_first() -> None:
    mask = torch.tensor([[False, True, True], [True, False, True]])
    frame = torch.randn(2, 3, 4) * mask[..., None]
    layout = Layout.of(mask)
    assert torch.equal(layout.spread(layout.pack(frame)), frame)


def test_a_full_layout_needs_no_index() -> None:
    flat = torch.randn(6, 4)
    assert torch.equal(Layout(2, 3).spread(flat), Layout.of(torch.ones(2, 3, dtype=torch.bool)).spread(flat))
    assert torch.equal(Layout(2, 3).pack(flat.view(2, 3, 4)), flat)


def test_flat_positions_are_those_in_the_frame() -> None:
    table = torch.randn(7, 4)
    for layout in (Layout.of(_mask()), Layout(3, 5)):
        expected = layout.pack(table[:5].expand(3, 5, 4).contiguous())
        assert torch.equal(flat_positions(layout, table), expected)


def test_mean_pool_counts_real_tokens_only() -> None:
    tokens = torch.randn(3, 5, 4)
    found = mean_pool(tokens, _mask())
    for i, n in enumerate((3, 1, 5)):
        torch.testing.assert_close(found[i], sum(tokens[i, j] for j in range(n)) / n)
    torch.testing.assert_close(mean_pool(tokens), tokens.mean(1))
    assert not mean_pool(tokens, torch.zeros(3, 5, dtype=torch.bool)).any()


def test_last_token_is_the_last_real_one() -> None:
    tokens = torch.randn(3, 5, 4)
    assert torch.equal(last_token(tokens, _mask()), torch.stack([tokens[0, 2], tokens[1, 0], tokens[2, 4]]))


def _reference(ours: Transformer) -> nn.TransformerEncoder:
    """torch's encoder with the weights of ours."""
    layer = nn.TransformerEncoderLayer(
        WIDTH, HEADS, 4 * WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    theirs = nn.TransformerEncoder(layer, DEPTH, nn.LayerNorm(WIDTH), enable_nested_tensor=False).double()
    renamed = {
        "qkv.": "self_attn.in_proj_",
        "out.": "self_attn.out_proj.",
        "norm_attention.": "norm1.",
        "norm_mlp.": "norm2.",
        "up.": "linear1.",
        "down.": "linear2.",
    }
    state = {}
    for name, value in ours.state_dict().items():
        for old, new in renamed.items():
            name = name.replace(f".{old}", f".{new}")
        state[name.replace("blocks.", "layers.")] = value
    theirs.load_state_dict(state)
    return theirs


def test_causal_equals_torch() -> None:
    ours, mask = _ours(), torch.arange(5) < torch.tensor([3, 1, 5])[:, None]
    x = torch.randn(3, 5, WIDTH, dtype=torch.float64)
    layout = Layout.of(mask, causal=True)
    later = nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64)
    expected = _reference(ours)(x, mask=later, is_causal=True)[mask]  # what comes after a token, padding too, is unseen
    torch.testing.assert_close(ours(layout.pack(x), layout), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_blocks_are_made_of_what_they_are_told(name: str) -> None:
    ours = Transformer(WIDTH, DEPTH, HEADS, mlp_ratio=1.5, activation=activation_named(name), eps=0.25).double()
    block, x = ours.blocks[1], torch.randn(4, WIDTH, dtype=torch.float64)
    assert block.up.out_features == 24
    centred = x - x.mean(1, keepdim=True)
    torch.testing.assert_close(block.norm_mlp(x), centred / (x.var(1, correction=0, keepdim=True) + 0.25).sqrt())
    y = torch.linspace(-3, 3, 13, dtype=torch.float64)
    expected = {
        "gelu": 0.5 * y * (1 + torch.erf(y / 2**0.5)),
        "gelu_tanh": 0.5 * y * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (y + 0.044715 * y**3))),
        "quick_gelu": y / (1 + torch.exp(-1.702 * y)),
    }
    torch.testing.assert_close(block.activation(y), expected[name])


def _ours() -> Transformer:
    ours = Transformer(WIDTH, DEPTH, HEADS).double()
    for p in ours.parameters():
        nn.init.normal_(p, std=0.3)
    return ours


@pytest.mark.parametrize("mask", [_mask(), torch.ones(3, 5, dtype=torch.bool)], ids=["padded", "full"])
def test_equals_torch_in_value_and_gradient(mask: Tensor) -> None:
    ours = _ours()
    theirs = _reference(ours)
    layout = Layout.of(mask)
    x = torch.randn(3, 5, WIDTH, dtype=torch.float64)
    flat, frame = layout.pack(x).requires_grad_(), x.clone().requires_grad_()
    found, expected = ours(flat, layout), theirs(frame, src_key_padding_mask=~mask)[mask]
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    weights = torch.randn_like(found)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(flat.grad, frame.grad[mask], rtol=1e-9, atol=1e-9)
    for a, b in (
        (ours.blocks[0].qkv, theirs.layers[0].self_attn.in_proj_weight),
        (ours.blocks[0].norm_attention, theirs.layers[0].norm1.weight),
        (ours.blocks[1].out, theirs.layers[1].self_attn.out_proj.weight),
        (ours.blocks[2].up, theirs.layers[2].linear1.weight),
        (ours.blocks[2].down, theirs.layers[2].linear2.weight),
        (ours.norm, theirs.norm.weight),
    ):
        torch.testing.assert_close(a.weight.grad, b.grad, rtol=1e-9, atol=1e-9)


def test_without_a_mask_equals_a_mask_of_ones() -> None:
    ours, x = _ours(), torch.randn(15, WIDTH, dtype=torch.float64)
    full = Layout.of(torch.ones(3, 5, dtype=torch.bool))
    torch.testing.assert_close(ours(x, Layout(3, 5)), ours(x, full), rtol=1e-12, atol=1e-12)


def test_starts_as_nearly_nothing_but_the_norm() -> None:
    """Depth does not make the first outputs larger: the residual branches add a small part of the input's variance."""
    x = torch.randn(64, 128)
    for depth in (2, 16):
        blocks = Transformer(128, depth, 4)
        out = x
        for block in blocks.blocks:
            out = block(out, Layout(4, 16))
        assert 1.0 < out.var() / x.var() < 2.0


def test_layer_scale_is_a_factor_on_each_branch() -> None:
    plain, scaled = Transformer(WIDTH, 1, HEADS).double(), Transformer(WIDTH, 1, HEADS, layer_scale=0.5).double()
    scaled.load_state_dict(plain.state_dict(), strict=False)
    factors = {name: p for name, p in scaled.named_parameters() if name not in plain.state_dict()}
    assert len(factors) == 2 and all(p.shape == (WIDTH,) and (p == 0.5).all() for p in factors.values())
    block, layout, x = plain.blocks[0], Layout(2, 3), torch.randn(6, WIDTH, dtype=torch.float64)
    for p in factors.values():
        nn.init.normal_(p)
    for linear, p in zip((block.out, block.down), factors.values(), strict=True):  # the same as scaled last maps
        linear.weight.data.mul_(p[:, None])
        linear.bias.data.mul_(p)
    torch.testing.assert_close(scaled(x, layout), plain(x, layout))
