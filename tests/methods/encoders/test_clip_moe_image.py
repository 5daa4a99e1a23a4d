"""The image tower with experts: as the plain one until they differ."""

import pytest
import torch

from dovetail.catalogue import build, configuration, rebuild
from dovetail.contracts import Encoder
from dovetail.methods.encoders.clip_moe_image import CLIPMoEImage
from dovetail.nn.experts import mixtures_of


def test_until_its_experts_differ_it_is_the_tower() -> None:
    tower = build("vit(32, 8, 32, 2, 2)", Encoder).double()
    x = torch.randn(3, 3, 32, 32, dtype=torch.float64)
    before = tower(x)
    made = CLIPMoEImage(tower)
    torch.testing.assert_close(made(x).pooled, before.pooled)
    assert (made.width, made.token_width, made.size) == (32, 32, 32)
    with torch.no_grad():
        for p in mixtures_of(made)[0].experts[0].parameters():
            p += 1
    assert not torch.allclose(made(x).pooled, before.pooled)


def test_it_is_made_again_from_its_configuration() -> None:
    made = CLIPMoEImage(build("vit(32, 8, 32, 2, 2)", Encoder), 3, 1).eval()
    again = rebuild(configuration(made)).eval()
    again.load_state_dict(made.state_dict())
    x = torch.randn(2, 3, 32, 32)
    assert again(x).pooled.equal(made(x).pooled)


def test_a_tower_without_blocks_of_ours_is_refused() -> None:
    with pytest.raises(ValueError, match="Timm has no transformer blocks of ours"):
        CLIPMoEImage(build("timm('test_vit', size=32)", Encoder))
