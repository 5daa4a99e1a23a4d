"""Models of open_clip's with towers of timm and transformers: the same embeddings and scores; SigLIP as our own."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import dovetail
from dovetail.catalogue import entry_of
from dovetail.models.files import CheckpointError
from dovetail.models.layouts.open_clip import write
from dovetail.models.layouts.open_clip_libraries import facts, hf_config, hf_side
from dovetail.models.pretrained import save
from tests.models.layouts.open_clips import BERT, CAPTIONS, SIGLIP, TEXT, VISION, opened, saved, tokens, words
from tests.models.layouts.test_open_clip_towers import equal

VIT = {"timm_model_name": "test_vit", "image_size": 160}
CONV = {"timm_model_name": "test_convnext", "image_size": 160}
TIMM: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {  # vision_cfg, text_cfg, whether the two have maps
    "own_pool_linear": (VIT | {"timm_pool": "", "timm_proj": "linear"}, {}, True),
    "avg_linear": (VIT | {"timm_pool": "avg", "timm_proj": "linear"}, {}, True),
    "avg_linear_biased": (VIT | {"timm_pool": "avg", "timm_proj": "linear", "timm_proj_bias": True}, {}, False),
    "own_pool_mlp": (CONV | {"timm_pool": "", "timm_proj": "mlp"}, {}, True),
    "own_pool_mlp_biased": (CONV | {"timm_pool": "", "timm_proj": "mlp", "timm_proj_bias": True}, {}, False),
    "token_none": (VIT | {"timm_pool": "token", "timm_proj": "none"}, {"proj_type": "none"}, False),
    "token_none_with_a_map": (VIT | {"timm_pool": "token", "timm_proj": "none"}, {}, False),
    "token_classifier": (VIT | {"timm_pool": "token", "timm_proj": None}, {}, False),
    "avg_classifier": (VIT | {"timm_pool": "avg", "timm_proj": None}, {}, False),
    "map_classifier": (VIT | {"timm_pool": "map", "timm_proj": ""}, {"proj_bias": True}, False),
    "avg_classifier_of_convolutions": (CONV | {"timm_pool": "avg", "timm_proj": None}, {}, False),
    "residual": ({"timm_model_name": "test_resnet", "image_size": 160, "timm_pool": "avg"}, {}, True),
}
FAMILY: dict[str, dict[str, Any]] = {
    "bert": BERT,
    "roberta": BERT | {"model_type": "roberta"},
    "mt5": {
        "model_type": "mt5",
        "vocab_size": 400,
        "d_model": 16,
        "d_kv": 8,
        "d_ff": 32,
        "num_layers": 2,
        "num_heads": 2,
        "pad_token_id": 0,
    },
    "m2m_100": {
        "model_type": "m2m_100",
        "vocab_size": 400,
        "d_model": 16,
        "encoder_layers": 2,
        "decoder_layers": 1,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 32,
        "pad_token_id": 0,
        "max_position_embeddings": 40,
    },
}
HF: dict[str, tuple[str, dict[str, Any]]] = {
    "bert-mean-linear": ("bert", {"hf_pooler_type": "mean_pooler", "hf_proj_type": "linear"}),
    "bert-mean-mlp": ("bert", {}),
    "bert-cls-linear": ("bert", {"hf_pooler_type": "cls_pooler", "hf_proj_type": "linear"}),
    "bert-usual": ("bert", {"hf_pooler_type": None, "hf_proj_type": "linear"}),
    "bert-first-linear": ("bert", {"hf_pooler_type": "cls_last_hidden_state_pooler", "hf_proj_type": "linear"}),
    "bert-mean-none": ("bert", {"hf_proj_type": None}),
    "roberta-mean-mlp": ("roberta", {"hf_pooler_type": "mean_pooler"}),
    "mt5-mean-mlp": ("mt5", {"hf_pooler_type": "mean_pooler"}),
    "m2m_100-cls-linear": ("m2m_100", {"hf_pooler_type": "cls_pooler", "hf_proj_type": "linear"}),
}


@pytest.mark.parametrize("name", TIMM)
def test_timms_towers_there_and_back(name: str, tmp_path: Path) -> None:
    vision, text, maps = TIMM[name]
    dim = 64 if "none" in name else 12
    small = TEXT | {"width": dim if text.get("proj_type") == "none" else 24, "heads": 2} | text
    cfg = {"embed_dim": dim, "vision_cfg": vision, "text_cfg": small, "custom_text": True}
    theirs = saved(json.loads(json.dumps(cfg)), tmp_path / "theirs")
    ours = dovetail.load(tmp_path / "theirs")
    assert entry_of(ours.image).key == "timm" and ours.projected == maps
    equal(ours, theirs, tokens(tmp_path / "theirs", CAPTIONS))
    write(ours, tmp_path / "ours")
    same_tensors(opened(tmp_path / "ours"), theirs)
    again = dovetail.load(save(ours, tmp_path / "run"))
    equal(again, theirs, tokens(tmp_path / "theirs", CAPTIONS))


@pytest.mark.parametrize("name", HF)
def test_transformers_text_towers(name: str, tmp_path: Path) -> None:
    kind, text = HF[name]
    words(tmp_path / "words", bert=True)
    transformers.AutoConfig.for_model(**FAMILY[kind]).save_pretrained(tmp_path / "words")
    dim = 16 if text.get("hf_proj_type", "") is None else 12
    named = {"hf_model_name": str(tmp_path / "words"), "hf_tokenizer_name": "words", "context_length": 20}
    cfg = {"embed_dim": dim, "vision_cfg": VISION, "text_cfg": named | text}
    words(tmp_path / "theirs", bert=True)
    theirs = saved(json.loads(json.dumps(cfg)), tmp_path / "theirs")
    ours = dovetail.load(tmp_path / "theirs")
    equal(ours, theirs, tokens(tmp_path / "theirs", CAPTIONS))
    again = dovetail.load(save(ours, tmp_path / "run"))
    equal(again, theirs, tokens(tmp_path / "theirs", CAPTIONS))
    with pytest.raises(CheckpointError, match="no name for the text tower hf_text; it has one for clip_text"):
        write(ours, tmp_path / "ours")


def test_the_configuration_of_a_text_model_lies_in_the_folder(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"names the text model somebody/bert, whose config.json .*; put it there"
    ):
        hf_config("somebody/bert", tmp_path)
    (tmp_path / "config.json").write_text('{"no": "text model"}')
    (tmp_path / "somebody" / "bert").mkdir(parents=True)
    (tmp_path / "somebody" / "bert" / "config.json").write_text(json.dumps(BERT))
    assert hf_config("somebody/bert", tmp_path) == BERT
    (tmp_path / "config.json").write_text(json.dumps(BERT | {"vocab_size": 7}))
    assert hf_config("somebody/bert", tmp_path)["vocab_size"] == 7


def test_what_is_said_of_a_text_models_pooling_and_map(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(BERT))
    named = {
        "hf_model_name": "bert",
        "hf_proj_type": None,
        "width": 99,
        "pool_type": "argmax",
    }  # the last two mean nothing
    side = hf_side(named | {"hf_pooler_type": "max_pooler"}, {}, tmp_path)
    assert side.options["pool"] == "max" and side.map is None
    for entry, value in (("hf_pooler_type", "min_pooler"), ("hf_proj_type", "cubic"), ("hf_new", 1)):
        with pytest.raises(CheckpointError, match=rf"text_cfg: .*{entry}.* not supported"):
            hf_side(named | {entry: value}, {}, tmp_path)


def test_siglip_is_our_own_there_and_back(tmp_path: Path) -> None:
    words(tmp_path / "theirs")
    theirs = saved(json.loads(json.dumps(SIGLIP)), tmp_path / "theirs", {"resize_mode": "squash", "mean": [0.5] * 3})
    ours = dovetail.load(tmp_path / "theirs")
    assert [entry_of(tower).key for tower in (ours.image, ours.text)] == ["siglip_vit", "siglip_text"]
    assert ours.tokenizer.fill and not ours.projected
    equal(ours, theirs, tokens(tmp_path / "theirs", CAPTIONS))
    write(ours, tmp_path / "ours")
    again = opened(tmp_path / "ours")
    same_tensors(again, theirs)
    equal(ours, again, tokens(tmp_path / "ours", CAPTIONS))
    back = json.loads((tmp_path / "ours" / "open_clip_config.json").read_text())["model_cfg"]
    kept = {k: v for k, v in SIGLIP["text_cfg"].items() if k not in ("hf_tokenizer_name", "tokenizer_kwargs")}
    assert back["vision_cfg"] == SIGLIP["vision_cfg"] and kept.items() <= back["text_cfg"].items()


def test_a_siglip_that_timm_has_not_is_not_written(tmp_path: Path) -> None:
    words(tmp_path / "theirs")
    saved(json.loads(json.dumps(SIGLIP)), tmp_path / "theirs")
    ours: Any = dovetail.load(tmp_path / "theirs")
    ours.image.activation = "gelu_tanh"
    wanted = r"timm, which has none with .*gelu_tanh.*; its vit_mini_patch8_siglip_32 has the activation gelu"
    with pytest.raises(CheckpointError, match=wanted):
        write(ours, tmp_path / "ours")


def test_facts_of_timms_siglips() -> None:
    found = facts("vit_so400m_patch14_siglip_224", 224)
    assert (found["width"], found["depth"], found["heads"], found["patch"]) == (1152, 27, 16, 14)
    assert round(found["width"] * found["mlp_ratio"]) == 4304 and found["activation"] == "gelu"
    assert facts("vit_giantopt_patch16_siglip_256", 256)["activation"] == "gelu_tanh"


@pytest.mark.parametrize(
    ("entry", "value"), [("timm_pool", "abs_attn"), ("timm_pool", "rot_attn"), ("timm_proj", "cubic"), ("timm_new", 1)]
)
def test_names_what_is_not_supported(entry: str, value: Any, tmp_path: Path) -> None:
    cfg = {"embed_dim": 12, "vision_cfg": VIT, "text_cfg": TEXT}
    saved(json.loads(json.dumps(cfg)), tmp_path)
    whole = json.loads((tmp_path / "open_clip_config.json").read_text())
    whole["model_cfg"]["vision_cfg"][entry] = value
    (tmp_path / "open_clip_config.json").write_text(json.dumps(whole))
    with pytest.raises(CheckpointError, match=rf"open_clip_config.json: .*{entry}.* not supported"):
        dovetail.load(tmp_path)


def same_tensors(again: Any, theirs: Any) -> None:
    """The same names and numbers."""
    state = theirs.state_dict()
    assert state.keys() == again.state_dict().keys()
    for name, value in again.state_dict().items():
        assert torch.equal(value, state[name].reshape(value.shape)), name
