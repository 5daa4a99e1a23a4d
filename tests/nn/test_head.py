"""Each combination of a hidden layer and a map is what it says."""

import pytest
import torch
from torch import nn

from dovetail.nn.head import Head


def test_nothing_is_nothing() -> None:
    x = torch.randn(2, 6)
    assert Head(6)(x) is x and Head(6).width == 6 and not list(Head(6).parameters())


@pytest.mark.parametrize("bias", [False, True])
def test_a_hidden_layer_and_a_map(bias: bool) -> None:
    head, x = Head(6, (3, bias), hidden=5), torch.randn(2, 6)
    assert head.up is not None and head.map is not None
    torch.testing.assert_close(head(x), head.map(nn.functional.gelu(x @ head.up.weight.T + head.up.bias)))
    assert head.width == 3 and (head.map.bias is not None) == bias


def test_a_hidden_layer_alone_and_a_map_alone() -> None:
    hidden, plain = Head(6, hidden=5, hidden_bias=False), Head(6, [4, False])
    assert hidden.width == 5 and hidden.up is not None and hidden.up.bias is None
    x = torch.randn(2, 6)
    assert plain.map is not None and torch.equal(plain(x), x @ plain.map.weight.T)
    assert (hidden(x) > -0.2).all(), "a GELU's least value"
