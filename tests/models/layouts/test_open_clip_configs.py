"""Every architecture that open_clip brings a configuration of, without its weights: each tower is ours or a library's,
and takes every tensor in its shape."""

import json
import warnings
from pathlib import Path

import open_clip
import pytest
import torch
from open_clip.coca_model import CoCa
from open_clip.model import CLIP, CustomTextCLIP

from dovetail.catalogue import rebuild
from dovetail.models.layouts import open_clip as layout
from dovetail.models.layouts.open_clip_side import chosen, simplest

CONFIGS = sorted((Path(open_clip.__file__).parent / "model_configs").glob("*.json"))
NATIVE = [path for path in CONFIGS if "hf_model_name" not in path.read_text()]  # others ask the hub


@pytest.mark.slow
@pytest.mark.parametrize("path", NATIVE, ids=lambda path: path.stem)
def test_every_tensor_has_its_place(path: Path) -> None:
    cfg = json.loads(path.read_text())
    given = {k: v for k, v in cfg.items() if k != "custom_text"}
    kind = CLIP if not cfg.get("custom_text") else CoCa if "multimodal_cfg" in cfg else CustomTextCLIP
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = kind(**json.loads(json.dumps(given)))
        visual, words, scalars = layout._parts(theirs.state_dict(), path)
    assert scalars.keys() == {"log_scale"} | ({"bias"} if "init_logit_bias" in cfg else set())
    for side in layout._sides(chosen(cfg, layout.MODEL, {}, "model_cfg"), visual, words, path.parent):
        simple = simplest(side if side.map is not None and side.map.bias is None else side.folded())
        with torch.device("meta"):
            tower = rebuild({"contract": "Encoder", "method": simple.key, "options": simple.options})
        own = {k: v.shape for k, v in tower.state_dict().items()}
        assert own == {k: v.shape for k, v in simple.tensors.items()}
