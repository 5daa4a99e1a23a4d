"""Region queries against attention written out, and over padding."""

import torch
from torch import Tensor
from torch.nn import functional as F

from dovetail.nn.region_queries import RegionQueries

COUNT, WIDTH, OUT, HEADS = 3, 10, 8, 2


def _made() -> tuple[RegionQueries, Tensor]:
    made = RegionQueries(COUNT, WIDTH, OUT, 2, HEADS).double()
    for p in made.parameters():
        p.data += 0.1 * torch.randn_like(p)
    return made, torch.randn(2, 6, WIDTH, dtype=torch.float64)


def _attention(layer: torch.nn.MultiheadAttention, x: Tensor, memory: Tensor) -> Tensor:
    maps, shifts = layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3)
    q, k, v = (a @ m.T + s for a, m, s in zip((x, memory, memory), maps, shifts, strict=True))
    heads = []
    for h in range(HEADS):
        at = slice(h * OUT // HEADS, (h + 1) * OUT // HEADS)
        heads.append((q[:, at] @ k[:, at].T / (OUT // HEADS) ** 0.5).softmax(1) @ v[:, at])
    return layer.out_proj(torch.cat(heads, 1))


def _defined(made: RegionQueries, tokens: Tensor) -> tuple[Tensor, Tensor]:
    memory, x = made.memory(tokens), made.queries
    for layer in made.decoder.layers:
        norm = layer.norm1(x)
        x = x + _attention(layer.self_attn, norm, norm)
        x = x + _attention(layer.multihead_attn, layer.norm2(x), memory)
        x = x + layer.linear2(F.relu(layer.linear1(layer.norm3(x))))
    x = made.decoder.norm(x)
    cx, cy, w, h = made.box(x).sigmoid().unbind(1)
    return made.vector(x), torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], 1)


def test_is_its_definition() -> None:
    made, tokens = _made()
    found = made(tokens)
    for i in range(2):
        for a, b in zip(found, _defined(made, tokens[i]), strict=True):
            torch.testing.assert_close(a[i], b)


def test_padding_is_nothing() -> None:
    made, tokens = _made()
    real = torch.arange(6)[None, :] < torch.tensor([6, 4])[:, None]
    for a, b in zip(made(tokens, real), made(tokens[1:, :4]), strict=True):
        torch.testing.assert_close(a[1:], b)


def test_layers_begin_apart_and_rounding_changes_little() -> None:
    made = RegionQueries(COUNT, WIDTH, OUT, 2, HEADS)
    first, second = (layer.linear1.weight for layer in made.decoder.layers)
    assert not torch.equal(first, second)
    tokens = torch.randn(2, 6, WIDTH)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(made(tokens)[1], made(tokens)[1])
        assert made(tokens)[1].dtype == torch.float32
