"""CLIP's ResNet in open_clip's and OpenAI's layouts: the same embeddings and scores, there and back."""

import json
from pathlib import Path

import open_clip
import pytest
import torch
from open_clip.model import build_model_from_openai_state_dict

import dovetail
from dovetail.catalogue import configuration, entry_of
from dovetail.models.layouts.open_clip import write
from dovetail.models.layouts.open_clip_resnet import resnet_inferred
from dovetail.models.pretrained import save
from tests.models.layouts.open_clips import CAPTIONS, TEXT, opened, saved, tokens
from tests.models.layouts.test_open_clip_towers import equal

VISION = {"image_size": 64, "layers": [1, 2, 1, 2], "width": 8, "head_width": 64, "patch_size": None}
WIDE = TEXT | {"width": 64, "heads": 1}


@pytest.mark.parametrize("text", [{}, {"proj_bias": True}, {"proj_type": "none", "width": 12}])
def test_embeddings_and_scores_equal_open_clips_there_and_back(text: dict[str, object], tmp_path: Path) -> None:
    cfg = {"embed_dim": 12, "vision_cfg": VISION, "text_cfg": TEXT | text, "quick_gelu": True}
    theirs = saved(json.loads(json.dumps(cfg)), tmp_path / "theirs")
    ours = dovetail.load(tmp_path / "theirs")
    assert entry_of(ours.image).key == "modified_resnet" and configuration(ours.image)["options"]["heads"] == 4
    equal(ours, theirs, tokens(tmp_path / "theirs", CAPTIONS))
    again = opened(write(ours, tmp_path / "ours"))
    bare = {k.removeprefix("text."): v for k, v in again.state_dict().items()}
    assert bare.keys() == theirs.state_dict().keys()
    assert all(torch.equal(bare[k], v.reshape(bare[k].shape)) for k, v in theirs.state_dict().items())
    equal(dovetail.load(save(ours, tmp_path / "run")), theirs, tokens(tmp_path / "theirs", CAPTIONS))


def test_openais_layout_is_read_from_the_shapes(tmp_path: Path) -> None:
    cfg = {"embed_dim": 12, "vision_cfg": VISION, "text_cfg": WIDE, "quick_gelu": True}
    theirs = saved(json.loads(json.dumps(cfg)), tmp_path / "made")
    state = {k: v for k, v in theirs.state_dict().items() if "num_batches" not in k}
    assert resnet_inferred({k: tuple(v.shape) for k, v in state.items()}).items() <= VISION.items()
    numbers = {"input_resolution": 64, "context_length": 16, "vocab_size": 49408}
    whole = state | {k: torch.tensor(v) for k, v in numbers.items()}
    torch.save(whole, tmp_path / "RN.pt")
    ours = dovetail.load(tmp_path / "RN.pt")
    equal(ours, theirs, open_clip.tokenize(CAPTIONS, context_length=16))
    built = build_model_from_openai_state_dict(theirs.state_dict() | {k: whole[k] for k in numbers}).visual
    assert built.image_size == 64 and built.attnpool.num_heads == 4
