"""Attention against torch's own and against its definition."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dovetail.ops.attention import attend


def _mask() -> Tensor:
    return torch.tensor([[True, True, True, True, True], [True, True, False, False, False]])


def _qkv(n: int = 3) -> list[Tensor]:
    shapes = ((2, 4, n, 8), (2, 4, 5, 8), (2, 4, 5, 6))
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("mask", [None, _mask()], ids=["all", "masked"])
def test_equals_torch_in_value_and_gradient(mask: Tensor | None) -> None:
    _compare(_qkv(), mask, None if mask is None else mask[:, None, None, :], causal=False)


def _compare(ours: list[Tensor], mask: Tensor | None, seen: Tensor | None, causal: bool) -> None:
    theirs = [x.detach().clone().requires_grad_() for x in ours]
    found = attend(*ours, mask, causal=causal)
    expected = F.scaled_dot_product_attention(*theirs, attn_mask=seen)
    weights = torch.randn_like(expected)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("mask", [None, _mask()], ids=["all", "masked"])
def test_causal_attention_equals_torch_in_value_and_gradient(mask: Tensor | None) -> None:
    seen = torch.tensor([[j <= i for j in range(5)] for i in range(5)])
    _compare(_qkv(n=5), mask, seen if mask is None else seen & mask[:, None, None, :], causal=True)


def test_equals_its_definition() -> None:
    q, k, v = (x.detach() for x in _qkv())
    found = attend(q, k, v, _mask())
    for b, h, i in ((0, 0, 0), (0, 3, 2), (1, 1, 1)):
        real = [m for m in range(5) if _mask()[b, m]]
        products = [sum(float(q[b, h, i, d]) * float(k[b, h, m, d]) for d in range(8)) for m in real]
        chances = [math.exp(p / math.sqrt(8)) for p in products]
        for e in range(6):
            mean = sum(c * float(v[b, h, m, e]) for c, m in zip(chances, real, strict=True)) / sum(chances)
            assert float(found[b, h, i, e]) == pytest.approx(mean, abs=1e-12)


def test_what_is_masked_is_not_seen_and_gets_no_gradient() -> None:
    q, k, v = _qkv()
    attend(q, k, v, _mask()).sum().backward()
    assert k.grad is not None and v.grad is not None
    assert not k.grad[1, :, 2:].any() and not v.grad[1, :, 2:].any()
    assert v.grad[0].any()


def test_an_item_without_any_key_is_finite() -> None:
    q, k, v = _qkv()
    found = attend(q, k, v, torch.zeros(2, 5, dtype=torch.bool))
    found.sum().backward()
    assert found.isfinite().all()
    assert all(x.grad is not None and x.grad.isfinite().all() for x in (q, k, v))


def test_half_precision_and_large_scores_stay_finite() -> None:
    q, k, v = (x.detach().bfloat16() for x in _qkv())
    assert attend(1000 * q, k, v, _mask()).isfinite().all()
    assert attend(q, k, v, _mask()).dtype == torch.bfloat16


@pytest.mark.gpu
@pytest.mark.parametrize("causal", [False, True], ids=["both ways", "causal"])
@pytest.mark.parametrize("mask", [None, _mask()], ids=["all", "masked"])
def test_a_gpu_gives_what_the_processor_gives(mask: Tensor | None, causal: bool) -> None:
    q, k, v = (x.detach().float() for x in _qkv(n=5))
    found = attend(q.cuda(), k.cuda(), v.cuda(), None if mask is None else mask.cuda(), causal)
    torch.testing.assert_close(found.cpu(), attend(q, k, v, mask, causal), rtol=1e-3, atol=1e-4)
