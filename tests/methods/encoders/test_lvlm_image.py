"""The image tower of a vision-language model against the whole model, and its folder."""

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForImageTextToText

from dovetail.catalogue import build
from dovetail.contracts import Encoder
from dovetail.methods.encoders.lvlm_image import LVLMImage
from dovetail.models.files import CheckpointError
from tests.contracts.samples import LVLM


@torch.no_grad()
def test_a_folder_gives_its_weights_and_the_last_state(tmp_path: Path) -> None:
    whole = AutoModelForImageTextToText.from_config(AutoConfig.for_model(**LVLM)).eval()
    whole.save_pretrained(tmp_path / "lvlm")
    tower, pixels = (
        build(f"lvlm_image('{tmp_path / 'lvlm'}', prompt=(0, 2))", Encoder).eval(),
        torch.randn(2, 3, 32, 32),
    )
    words = torch.tensor([[5, 6], [5, 6]])
    tower.soft.start(words[0, :0], words[0])
    ids = torch.cat([torch.full((2, 16), 299), words], 1)
    theirs = whole.model(input_ids=ids, pixel_values=pixels).last_hidden_state
    found = tower(pixels)
    torch.testing.assert_close(found.pooled, theirs[:, -1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.tokens, theirs[:, :16], rtol=1e-4, atol=1e-5)
    assert tower.prompt == [0, 2] and tower.name is None and tower.size == 32


def test_a_missing_folder_is_named() -> None:
    with pytest.raises(CheckpointError, match="nowhere-at-all: no such folder"):
        LVLMImage("nowhere-at-all")
