"""Between open_clip's layout and transformers': the same numbers in the other library, every bit on the way back."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import dovetail
from dovetail.models.convert import converted, written
from tests.models import hf_pair
from tests.models.layouts.open_clips import CAPTIONS, SIGLIP, opened, saved, tokens, words
from tests.models.layouts.test_open_clip_towers import equal

PIXELS = {"resize_mode": "squash", "mean": [0.5] * 3, "std": [0.5] * 3}


@pytest.mark.parametrize("act", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("legacy", [False, True])
def test_a_clip_of_transformers_there_and_back(act: str, legacy: bool, tmp_path: Path) -> None:
    hf_pair.clip(tmp_path / "theirs", act, legacy)
    written(converted(tmp_path / "theirs"), "open_clip", tmp_path / "open_clip")
    ours, other = dovetail.load(tmp_path / "theirs"), opened(tmp_path / "open_clip")
    equal(ours, other, tokens(tmp_path / "open_clip", hf_pair.TEXTS), hf_pair.TEXTS)
    written(converted(tmp_path / "open_clip"), "transformers", tmp_path / "back")
    first, last = (load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "back"))
    assert first.keys() == last.keys() and all(torch.equal(first[k], last[k]) for k in first)


def test_a_siglip_of_open_clip_there_and_back(tmp_path: Path) -> None:
    cfg = json.loads(json.dumps(SIGLIP))
    cfg["text_cfg"] |= {"act_kwargs": None, "mlp_ratio": 2.6}  # transformers has one activation for both towers
    words(tmp_path / "theirs")
    theirs = saved(cfg, tmp_path / "theirs", PIXELS)
    written(converted(tmp_path / "theirs"), "transformers", tmp_path / "transformers")
    equal(dovetail.load(tmp_path / "transformers"), theirs, tokens(tmp_path / "theirs", CAPTIONS))
    written(converted(tmp_path / "transformers"), "open_clip", tmp_path / "back")
    state = theirs.state_dict()
    for name, value in opened(tmp_path / "back").state_dict().items():
        assert torch.equal(value, state[name].reshape(value.shape)), name
