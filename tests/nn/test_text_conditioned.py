"""Text-conditioned pooling against torch's own attention, with padding, and a few images at a time."""

import pytest
import torch
from torch import Tensor, nn

from dovetail.contracts import Features
from dovetail.nn import text_conditioned
from dovetail.nn.text_conditioned import TextConditionedPooling, fitness

WIDTH, HEADS = 8, 2


def _pooling() -> TextConditionedPooling:
    made = TextConditionedPooling(WIDTH, HEADS).double()
    for p in made.parameters():
        nn.init.normal_(p)
    return made


def test_equals_torchs_attention_in_value_and_gradient() -> None:
    pooling = _pooling()
    theirs = nn.MultiheadAttention(WIDTH, HEADS, add_zero_attn=True, batch_first=True).double()
    theirs.load_state_dict(
        {
            "in_proj_weight": pooling.inner.weight,
            "in_proj_bias": pooling.inner.bias,
            "out_proj.weight": pooling.outer.weight,
            "out_proj.bias": pooling.outer.bias,
        }
    )
    texts, patches = (torch.randn(s, dtype=torch.float64, requires_grad=True) for s in ((3, WIDTH), (2, 5, WIDTH)))
    query = pooling.query_norm(texts).expand(2, -1, -1)
    wanted = theirs(query, pooling.key_norm(patches), pooling.value_norm(patches))[0]
    found = pooling(texts, patches, None)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)
    weights = torch.randn_like(found)
    one, two = (torch.autograd.grad((x * weights).sum(), [texts, patches]) for x in (found, wanted))
    torch.testing.assert_close(one, two, rtol=1e-10, atol=1e-10)


def test_begins_as_torchs_attention_does() -> None:
    torch.manual_seed(0)
    pooling = TextConditionedPooling(64, 4)
    theirs = nn.MultiheadAttention(64, 4)
    assert pooling.inner.weight.std().item() == pytest.approx(theirs.in_proj_weight.std().item(), rel=0.02)
    assert pooling.outer.weight.std().item() == pytest.approx(theirs.out_proj.weight.std().item(), rel=0.03)
    assert not pooling.inner.bias.any() and not pooling.outer.bias.any()


def test_padding_of_patches_is_nothing() -> None:
    pooling, texts, patches = _pooling(), torch.randn(2, WIDTH).double(), torch.randn(3, 5, WIDTH).double()
    real = torch.arange(5)[None, :] < torch.tensor([5, 3, 1])[:, None]
    found = pooling(texts, patches, real)
    for i, n in enumerate((5, 3, 1)):
        torch.testing.assert_close(found[i : i + 1], pooling(texts, patches[i : i + 1, :n], None))


def _fitness(pooling: TextConditionedPooling) -> tuple[Tensor, list[Tensor]]:
    torch.manual_seed(1)
    x, y = (torch.randn(s, dtype=torch.float64, requires_grad=True) for s in ((3, 5, WIDTH), (4, WIDTH)))
    real = torch.arange(5)[None, :] < torch.tensor([5, 3, 1])[:, None]
    found = fitness(pooling, Features(x.mean(1), x, real), Features(y))
    return found, list(torch.autograd.grad(found.square().sum(), [x, y, *pooling.parameters()]))


def test_a_few_images_at_a_time_are_all(monkeypatch: pytest.MonkeyPatch) -> None:
    pooling = _pooling()
    whole, gradients = _fitness(pooling)
    assert whole.shape == (3, 4)
    monkeypatch.setattr(text_conditioned, "AT_ONCE", 1)
    parts, others = _fitness(pooling)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(others, gradients)


def test_none_of_either_is_an_empty_matrix_with_gradients() -> None:
    """A process without images must still take part in what the others sum."""
    pooling, x = _pooling(), torch.randn(3, 5, WIDTH).double()
    y = torch.randn(4, WIDTH, dtype=torch.float64, requires_grad=True)
    found = fitness(pooling, Features(x[:0].mean(1), x[:0]), Features(y))
    assert found.shape == (0, 4)
    found.sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in (y, *pooling.parameters()))
    assert fitness(pooling, Features(x.mean(1), x), Features(y[:0])).shape == (3, 0)
