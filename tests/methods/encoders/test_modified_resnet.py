"""CLIP's ResNet against open_clip's in float64: vectors and gradients, with and without training."""

import re

import pytest
import torch
from open_clip import modified_resnet

from dovetail.methods.encoders.modified_resnet import ModifiedResNet

NAMES = (
    (r"downsample\.0", "shortcut"),
    (r"downsample\.1", "shortcut_bn"),
    (r"attnpool\.positional_embedding", "positions"),
    (r"attnpool\.q_proj", "query"),
    (r"attnpool\.k_proj", "key"),
    (r"attnpool\.v_proj", "value"),
    (r"attnpool\.c_proj", "collect"),
)


@pytest.mark.parametrize("training", [False, True])
def test_vectors_and_gradients_equal_open_clips(training: bool) -> None:
    theirs = modified_resnet.ModifiedResNet([1, 2, 1, 2], output_dim=10, heads=4, image_size=64, width=8).double()
    for p in theirs.parameters():
        torch.nn.init.normal_(p, std=0.3)
    ours = ModifiedResNet(size=64, layers=(1, 2, 1, 2), inner=8, heads=4, width=10).double()
    state = theirs.state_dict()
    for old, new in NAMES:
        state = {re.sub(old, new, k): v for k, v in state.items()}
    ours.load_state_dict(state)
    x = torch.randn(3, 3, 64, 64, dtype=torch.float64, requires_grad=True)
    found, expected = ours.train(training)(x), theirs.train(training)(x)
    torch.testing.assert_close(found.pooled, expected, rtol=1e-10, atol=1e-10)
    weights = torch.randn_like(expected)
    left, right = (torch.autograd.grad((y * weights).sum(), x)[0] for y in (found.pooled, expected))
    torch.testing.assert_close(left, right, rtol=1e-8, atol=1e-8)
    assert found.grid == (2, 2) and found.tokens is not None and found.tokens.shape == (3, 4, 10)


def test_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="size 60 must be a multiple of 32"):
        ModifiedResNet(size=60)
    with pytest.raises(ValueError, match="2048 channels of heads 30"):
        ModifiedResNet(heads=30)
    with pytest.raises(ValueError, match="reads images of 32 x 32 pixels, not 32 x 64"):
        ModifiedResNet(size=32, inner=8, heads=4)(torch.zeros(1, 3, 32, 64))
