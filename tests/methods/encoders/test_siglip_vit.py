"""SigLIP's image tower against transformers' on the same weights, tokens included, and its options."""

import pytest
import torch
from torch import nn
from transformers import SiglipVisionConfig, SiglipVisionModel

from dovetail.methods.encoders.siglip_vit import SiglipViT
from dovetail.models.siglip_weights import from_transformers

SMALL = {"width": 16, "depth": 2, "heads": 2, "mlp_ratio": 2.5}


@pytest.mark.parametrize("size", [24, 29], ids=["whole patches", "pixels left over"])
def test_tokens_and_gradients_equal_transformers(size: int) -> None:
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 40}
    theirs = SiglipVisionModel(SiglipVisionConfig(image_size=size, patch_size=8, **sizes)).double()
    for p in theirs.parameters():
        nn.init.normal_(p, std=0.3)
    ours = SiglipViT(size=size, patch=8, **SMALL).double()
    state = from_transformers({f"vision_model.{k}": v for k, v in theirs.state_dict().items()})
    ours.load_state_dict({name.removeprefix("image."): value for name, value in state.items()})
    x = torch.randn(2, 3, size, size, dtype=torch.float64, requires_grad=True)
    found, wanted = ours(x), theirs(x)
    torch.testing.assert_close(found.pooled, wanted.pooler_output, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(found.tokens, wanted.last_hidden_state, rtol=1e-8, atol=1e-8)
    assert found.grid == (3, 3)
    weights = torch.randn_like(found.pooled)
    (left,) = torch.autograd.grad((found.pooled * weights).sum(), x)
    (right,) = torch.autograd.grad((wanted.pooler_output * weights).sum(), x)
    torch.testing.assert_close(left, right, rtol=1e-8, atol=1e-8)


def test_the_options_are_what_they_say() -> None:
    tower = SiglipViT(size=16, patch=8, **SMALL, activation="gelu", eps=1e-3)
    assert tower.transformer.blocks[0].up.out_features == tower.pool.up.out_features == 40
    assert {m.eps for m in tower.modules() if isinstance(m, nn.LayerNorm)} == {1e-3}
    other = SiglipViT(size=16, patch=8, **SMALL)
    other.load_state_dict(tower.state_dict())
    x = torch.randn(1, 3, 16, 16)
    assert not torch.equal(tower(x).pooled, other(x).pooled)  # tanh's approximation, and the other eps


def test_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"size 4 must hold a patch of 8, and width 16 be a multiple of 2 heads"):
        SiglipViT(size=4, patch=8, **SMALL)
    with pytest.raises(ValueError, match=r"reads images of 16 x 16 pixels, not 16 x 24"):
        SiglipViT(size=16, patch=8, **SMALL)(torch.zeros(1, 3, 16, 24))
