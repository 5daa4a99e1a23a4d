"""Single files: open_clip's training with every wrapping, OpenAI's layout, and what is said of others."""

import json
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from open_clip.model import build_model_from_openai_state_dict
from safetensors.torch import save_file
from torch import Tensor

import dovetail
from dovetail.catalogue import configuration
from dovetail.models.files import CheckpointError
from dovetail.models.layouts.checkpoints import config_beside, inferred
from dovetail.models.layouts.open_clip_state import bare
from tests.models.layouts.open_clips import CAPTIONS, config, saved
from tests.models.layouts.test_open_clip_towers import equal

WIDE: dict[str, Any] = {"width": 64, "layers": 2}
SMALL = config(WIDE | {"head_width": 64}, WIDE | {"heads": 1})
ASSUMED = r"without a configuration beside it taken for a model with GELU.*put its open_clip_config.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, dict[str, Tensor]]:
    """A model of open_clip's and its tensors."""
    torch.manual_seed(0)
    theirs = saved(dict(SMALL), tmp_path_factory.mktemp("made"))
    return theirs, theirs.state_dict()


def _ids(texts: list[str]) -> Tensor:
    return open_clip.tokenize(texts, context_length=16)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".safetensors"])
def test_the_architecture_is_read_from_the_shapes(
    suffix: str, made: tuple[Any, dict[str, Tensor]], tmp_path: Path
) -> None:
    theirs, state = made
    place = tmp_path / f"tensors{suffix}"
    save_file(state, place) if suffix == ".safetensors" else torch.save(state, place)
    with pytest.warns(UserWarning, match=ASSUMED):
        ours = dovetail.load(place)
    equal(ours, theirs, _ids(CAPTIONS))


@pytest.mark.parametrize("wrapper", ["", "module.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("key", ["state_dict", "state_dict_ema"])
def test_checkpoints_of_a_training(wrapper: str, key: str, made: tuple[Any, dict[str, Tensor]], tmp_path: Path) -> None:
    theirs, state = made
    held = {"epoch": 3, "name": "run", key: {wrapper + k: v for k, v in state.items()}, "optimizer": {"state": {}}}
    torch.save(held, tmp_path / "epoch_3.pt")
    (tmp_path / "other.json").write_text('{"no": "configuration"}')
    (tmp_path / "model.json").write_text(json.dumps(SMALL | {"quick_gelu": True}))
    ours = dovetail.load(tmp_path / "epoch_3.pt")  # without a warning
    assert configuration(ours.image)["options"]["activation"] == "quick_gelu"
    (tmp_path / "epoch_3.json").write_text(
        json.dumps({"model_cfg": SMALL, "preprocess_cfg": {"resize_mode": "squash"}})
    )
    ours = dovetail.load(tmp_path / "epoch_3.pt")
    equal(ours, theirs, _ids(CAPTIONS))
    assert ours.preprocessing.resize == "squash"


def test_of_half_precision_but_for_the_norms_is_openais(made: tuple[Any, dict[str, Tensor]], tmp_path: Path) -> None:
    halves = {k: v.half() if k.endswith("weight") and "ln_" not in k else v for k, v in made[1].items()}
    for state, act in ((halves, "quick_gelu"), ({k: v.half() for k, v in made[1].items()}, "gelu")):
        torch.save(state, tmp_path / "x.pt")
        with pytest.warns(UserWarning, match="taken for a model with " + {"gelu": "GELU"}.get(act, "quick-GELU")):
            ours = dovetail.load(tmp_path / "x.pt")
        assert [configuration(t)["options"]["activation"] for t in (ours.image, ours.text)] == [act, act]


@pytest.mark.parametrize("half", [False, True])
def test_openais_layout_has_quick_gelu(half: bool, made: tuple[Any, dict[str, Tensor]], tmp_path: Path) -> None:
    numbers = {"input_resolution": 32, "context_length": 16, "vocab_size": 49408}
    state = made[1] | {k: torch.tensor(v) for k, v in numbers.items()}
    if half:
        state = {k: v.half() if v.is_floating_point() and v.ndim > 1 else v for k, v in state.items()}
    torch.save(state, tmp_path / "ViT-B-32.pt")
    theirs = build_model_from_openai_state_dict(dict(state), cast_dtype=torch.float32).float().eval()
    theirs.load_state_dict({k: v.float() for k, v in state.items() if k not in numbers})  # it rounds what is given
    ours = dovetail.load(tmp_path / "ViT-B-32.pt")
    assert configuration(ours.text)["options"]["activation"] == "quick_gelu"
    equal(ours, theirs, _ids(CAPTIONS))


def test_what_the_shapes_say_of_other_models(tmp_path: Path) -> None:
    vision = WIDE | {"head_width": 64, "no_ln_pre": True, "mlp_ratio": 2.3, "ls_init_value": 0.1}
    cfg = config(
        vision, WIDE | {"heads": 1, "proj_bias": True, "mlp_ratio": 1.7}, init_logit_bias=-3.0, custom_text=True
    )
    theirs = saved(json.loads(json.dumps(cfg)), tmp_path / "made")
    torch.save(theirs.state_dict(), tmp_path / "tensors.pt")
    with pytest.warns(UserWarning, match=ASSUMED):
        ours = dovetail.load(tmp_path / "tensors.pt")
    equal(ours, theirs, _ids(CAPTIONS))
    coca = config(
        WIDE | {"head_width": 64, "attentional_pool": True, "attn_pooler_queries": 3},
        WIDE | {"heads": 1, "embed_cls": True},
        custom_text=True,
        embed_dim=16,
    )
    theirs = saved(json.loads(json.dumps(coca)), tmp_path / "coca")
    torch.save(theirs.state_dict(), tmp_path / "coca.pt")
    with pytest.warns(UserWarning, match=ASSUMED):
        equal(dovetail.load(tmp_path / "coca.pt"), theirs, _ids(CAPTIONS))


def test_says_what_cannot_be_told(made: tuple[Any, dict[str, Tensor]], tmp_path: Path) -> None:
    state, place = made[1], tmp_path / "x.pt"
    without = {k: v for k, v in state.items() if not k.startswith("visual.")}
    for tensors, told in (
        (
            without | {"visual.trunk.norm.weight": torch.zeros(1)},
            r"has no tensor visual.conv1.weight.*put its open_clip",
        ),
        (state | {"visual.positional_embedding": torch.zeros(19, 64)}, "form no square"),
        (state | {"token_embedding.weight": torch.zeros(9, 60)}, "2 blocks of width 60 tell no number of heads of 64"),
    ):
        with pytest.raises(CheckpointError, match=told):
            inferred(tensors, place)
    torch.save({k: v for k, v in state.items() if k != "logit_scale"}, place)
    with pytest.warns(UserWarning), pytest.raises(CheckpointError, match="has no tensor logit_scale"):
        dovetail.load(place)


def test_of_several_configurations_none_is_taken(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps(SMALL))
    (tmp_path / "broken.json").write_text("{")
    assert config_beside(tmp_path / "x.pt") is None
    assert config_beside(tmp_path / "b.pt") == tmp_path / "b.json"


def test_prefixes_that_not_all_have_stay() -> None:
    mixed = {"module.a": torch.zeros(1), "b": torch.zeros(1)}
    assert bare(mixed).keys() == mixed.keys()
