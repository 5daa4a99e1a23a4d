"""The image halves of transformers' dual models give the numbers of their `get_image_features`."""

import pytest
import torch

from dovetail.methods.encoders.hf_dual_image import HFDualImage
from dovetail.nn.hf_dual import family_of
from tests.models.hf_duals import CONFIGS, theirs


@pytest.mark.parametrize("name", CONFIGS)
def test_equals_transformers(name: str) -> None:
    model, tower = theirs(name), HFDualImage(CONFIGS[name]).eval()
    tower.body, tower.projection = family_of(CONFIGS[name]).image.of(model)
    pixels = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        found, expected = tower(pixels), model.get_image_features(pixels)
    torch.testing.assert_close(found.pooled, expected.pooler_output, rtol=1e-5, atol=1e-5)
    states = expected.last_hidden_state
    states = states.flatten(2).transpose(1, 2) if states.ndim == 4 else states
    assert torch.equal(found.tokens, states)
    assert tower.size == 32 and tower.width == 24 and tower.token_width == states.shape[-1]


def test_a_body_of_convolutions_has_a_grid_and_reads_any_size() -> None:
    tower = HFDualImage(CONFIGS["align"]).eval()
    found = tower(torch.randn(2, 3, 48, 32))
    assert found.grid == (12, 8) and found.tokens.shape == (2, 96, 24)


def test_another_configuration_is_refused() -> None:
    with pytest.raises(ValueError, match="model_type must be one of"):
        HFDualImage({"model_type": "bert"})
