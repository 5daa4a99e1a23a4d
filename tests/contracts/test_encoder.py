"""What every Encoder must do."""

import json

import pytest
import torch
from torch import Tensor

from dovetail.catalogue import configuration, rebuild
from dovetail.contracts import Encoder, Features, Tokens
from tests.contracts.samples import Make, inputs, reads_text, samples

ENCODERS = pytest.mark.parametrize("make", samples(Encoder))
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def _eval(make: Make) -> torch.nn.Module:
    encoder = make().eval()
    for p in encoder.parameters():  # some towers start with zeros, which would hide a part of them
        if p.ndim < 2:
            p.data.add_(0.5 * torch.rand_like(p))
    return encoder


def _part(x: Tensor | Tokens, index: Tensor) -> Tensor | Tokens:
    return x[index] if isinstance(x, Tensor) else Tokens(x.ids[index], x.mask[index])


def _real(f: Features) -> Tensor:
    """The tokens, zeros in the padding."""
    assert f.tokens is not None
    return f.tokens if f.mask is None else f.tokens * f.mask[..., None]


@ENCODERS
def test_gives_features_of_the_width_it_states(make: Make) -> None:
    encoder = _eval(make)
    x = inputs(encoder, 3)
    found = encoder(x)
    assert found.pooled.shape == (3, encoder.width)
    assert found.tokens.shape[0] == 3 and found.tokens.shape[2] == encoder.token_width
    if found.grid is not None:
        assert found.grid[0] * found.grid[1] == found.tokens.shape[1]
    if isinstance(x, Tokens):
        assert found.mask is not None and torch.equal(found.mask, x.mask), "a text's padding stays padding"


@ENCODERS
def test_padding_is_nothing(make: Make) -> None:
    encoder = _eval(make)
    if not reads_text(encoder):
        return
    x = inputs(encoder, 4)
    found = encoder(x)
    noise = torch.randint(0, 300, (4, 6))
    ids = torch.cat([torch.where(x.mask, x.ids, torch.randint(0, 300, x.ids.shape)), noise], 1)
    padded = encoder(Tokens(ids, torch.cat([x.mask, torch.zeros_like(noise, dtype=torch.bool)], 1)))
    torch.testing.assert_close(padded.pooled, found.pooled, **CLOSE)
    torch.testing.assert_close(_real(padded)[:, :12], _real(found), **CLOSE)


@ENCODERS
def test_a_text_tower_reads_no_text_at_all(make: Make) -> None:
    """As it must for a piece of a batch whose images have no caption."""
    encoder = _eval(make)
    if not reads_text(encoder):
        return
    found = encoder(_part(inputs(encoder, 2), torch.tensor([], dtype=torch.int64)))
    assert found.pooled.shape == (0, encoder.width) and found.tokens.shape == (0, 12, encoder.token_width)
    found.pooled.sum().backward()
    assert all(p.grad is not None for p in encoder.parameters() if p.requires_grad)


@ENCODERS
def test_items_know_nothing_of_one_another(make: Make) -> None:
    encoder = _eval(make)
    x = inputs(encoder, 3)
    found = encoder(x)
    for i in range(3):
        alone = encoder(_part(x, torch.tensor([i])))
        torch.testing.assert_close(alone.pooled[0], found.pooled[i], **CLOSE)
        torch.testing.assert_close(_real(alone)[0], _real(found)[i], **CLOSE)
    assert not torch.allclose(found.pooled[0], found.pooled[1], atol=1e-4), "different things differ"


@ENCODERS
def test_every_parameter_learns_from_the_pooled_vector(make: Make) -> None:
    encoder = _eval(make)
    pooled = encoder(inputs(encoder, 3)).pooled
    (pooled * torch.randn_like(pooled)).sum().backward()
    unused = [name for name, p in encoder.named_parameters() if p.requires_grad and p.grad is None]
    assert not unused, "distributed training stops at parameters without a gradient"
    # A key's bias has none by the symmetry of the softmax, hence only matrices are asked for more than a gradient.
    learnt = [(name, p) for name, p in encoder.named_parameters() if p.requires_grad and p.ndim > 1]
    still = [name for name, p in learnt if not p.grad.abs().sum() > 0]
    assert not still


@ENCODERS
def test_runs_in_double_and_in_half_precision(make: Make) -> None:
    encoder = _eval(make)
    x = inputs(encoder, 3)
    found = encoder(x)
    with torch.autocast("cpu", torch.bfloat16):
        half = encoder(x)
    assert half.pooled.isfinite().all()
    assert torch.cosine_similarity(half.pooled.float(), found.pooled).min() > 0.99
    exact = encoder.double()(x.double() if isinstance(x, Tensor) else x)
    assert exact.pooled.dtype == torch.float64
    torch.testing.assert_close(found.pooled.double(), exact.pooled, rtol=1e-4, atol=1e-4)


@ENCODERS
def test_comes_back_from_its_configuration_and_weights(make: Make) -> None:
    encoder = _eval(make)
    x = inputs(encoder, 3)
    again = rebuild(json.loads(json.dumps(configuration(encoder))))
    again.load_state_dict(encoder.state_dict())
    found, second, rebuilt = encoder(x), encoder(x), again.eval()(x)
    for other in (second, rebuilt):
        assert torch.equal(found.pooled, other.pooled) and torch.equal(_real(found), _real(other))
    assert again.width == encoder.width and again.token_width == encoder.token_width
