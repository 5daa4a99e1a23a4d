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
    assert config["options"].items() >= {"name": "test_resnet", "size": 160, "pretrained": False}.items()
    again = rebuild(config)
    assert again.size == tower.size and again.pretrained is False


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no model called 'resnet1888'; did you mean resnet18 or "):
        Timm("resnet1888")
    with pytest.raises(ValueError, match=r"timm has no model called 'qqqqq'$"):
        Timm("qqqqq")


def test_another_pooling_when_it_is_made_moves_the_last_norm_and_afterwards_does_not() -> None:
    x = torch.randn(2, 3, 64, 64)
    made, given = Timm("test_vit", 64, pool="avg").eval(), Timm("test_vit", 64, repool="avg").eval()
    assert {n for n, _ in made.body.named_children() if n.endswith("norm")} == {"norm", "fc_norm"}
    for tower, norm in ((made, made.body.fc_norm), (given, given.body.norm)):
        assert isinstance(norm, torch.nn.LayerNorm)
        theirs = timm.create_model(
            "test_vit", num_classes=0, img_size=64, global_pool="avg" if tower is made else "token"
        )
        if tower is given:
            theirs.reset_classifier(0, "avg")
        theirs.load_state_dict(tower.body.state_dict())
        torch.testing.assert_close(tower(x).pooled, theirs.eval()(x))


def test_a_hidden_layer_and_a_map_follow_the_pooling() -> None:
    plain, tower = Timm("test_resnet", 64).eval(), Timm("test_resnet", 64, hidden=10, out=(6, True)).eval()
    plain.body.load_state_dict(tower.body.state_dict())
    x = torch.randn(2, 3, 64, 64)
    assert tower.width == 6 and tower.head.up is not None and tower.head.map is not None
    expected = tower.head.map(torch.nn.functional.gelu(tower.head.up(plain(x).pooled)))
    torch.testing.assert_close(tower(x).pooled, expected)
