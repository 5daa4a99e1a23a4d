"""The text tower with experts: as the plain one until they differ."""

import torch

from dovetail.catalogue import build, configuration, rebuild
from dovetail.contracts import Encoder
from dovetail.methods.encoders.clip_moe_text import CLIPMoEText
from dovetail.nn.experts import mixtures_of
from tests.contracts.samples import tokens


def test_until_its_experts_differ_it_is_the_tower_and_it_does_no_work_on_padding() -> None:
    tower = build("text_transformer(300, 32, 32, 2, 2)", Encoder).double()
    x = tokens(4)
    before = tower(x)
    made = CLIPMoEText(tower)
    torch.testing.assert_close(made(x).pooled, before.pooled)
    assert (made.width, made.token_width, made.vocabulary) == (32, 32, 300)
    sent: list[int] = []
    mixtures_of(made)[0].router.register_forward_hook(lambda _, __, said: sent.append(len(said)))
    made(x)
    assert sent == [int(x.mask.sum())]


def test_it_is_made_again_from_its_configuration() -> None:
    made = CLIPMoEText(build("text_transformer(300, 32, 32, 2, 2)", Encoder), 3, 1).eval()
    again = rebuild(configuration(made)).eval()
    again.load_state_dict(made.state_dict())
    x = tokens(3)
    torch.testing.assert_close(again(x).pooled, made(x).pooled)
