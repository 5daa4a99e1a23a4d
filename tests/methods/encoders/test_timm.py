"""Image towers of timm: the library's own outputs, whatever the family."""

import json

import pytest
import timm
import torch

from dovetail.catalogue import build, configuration, rebuild
from dovetail.contracts import Encoder
from dovetail.methods.encoders.timm import Timm

# The ways to lay features out: channels first or last, a class token or none, a head wider than the features.
FAMILIES = ("test_resnet", "test_convnext", "test_vit", "test_vit2", "mobilenetv3_small_050", "test_mambaout")


@pytest.mark.parametrize("name", FAMILIES)
def test_equals_timm(name: str) -> None:
    tower = Timm(name, size=64).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        found, last = tower(x), tower.body.forward_features(x)
        torch.testing.assert_close(found.pooled, tower.body(x), rtol=1e-4, atol=1e-4)
    assert found.pooled.shape == (2, tower.width) and found.tokens.shape[2] == tower.token_width
    if last.ndim == 3:
        torch.testing.assert_close(found.tokens, last, rtol=1e-4, atol=1e-4)
        return
    first = last[0, :, 0, 1] if last.shape[1] == tower.token_width else last[0, 0, 1]
    torch.testing.assert_close(found.tokens[0, 1], first, rtol=1e-4, atol=1e-4)
    assert found.grid is not None and found.grid[0] * found.grid[1] == found.tokens.shape[1]


def test_reads_the_size_the_model_was_made_for_unless_told() -> None:
    assert Timm("test_vit").size == timm.get_pretrained_cfg("test_vit").input_size[-1] == 160
    assert Timm("test_vit", size=64)(torch.randn(1, 3, 64, 64)).pooled.shape == (1, 64)


def test_comes_back_without_its_pretrained_weights() -> None:
    tower = build("timm:test_resnet", Encoder)
    config = json.loads(json.dumps(configuration(tower)))
    assert config["options"] == {"name": "test_resnet", "size": 160, "pretrained": False}
    again = rebuild(config)
    assert again.size == tower.size and again.pretrained is False


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no model called 'resnet1888'; did you mean resnet18 or "):
        Timm("resnet1888")
    with pytest.raises(ValueError, match=r"timm has no model called 'qqqqq'$"):
        Timm("qqqqq")
