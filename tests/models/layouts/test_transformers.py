"""The transformers layout: a folder that it saved gives its numbers, and what is written is its own again."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoTokenizer, CLIPModel, CLIPProcessor, Siglip2ImageProcessorPil, SiglipModel

import dovetail
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.files import CheckpointError, load_tensors, read_json, write_json
from dovetail.models.layouts import transformers as layout
from dovetail.models.pretrained import layout_of, save
from tests.models import hf_pair, small

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
CLIPS: dict[str, dict[str, Any]] = {
    "quick gelu, a stated end": {},
    "gelu, the highest id": {"act": "gelu", "legacy": True},
    "tanh, pixels, eps": {"act": "gelu_pytorch_tanh", "patch_size": 16, "layer_norm_eps": 1e-2},
}
SIGLIPS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "gelu": {"hidden_act": "gelu"},
    "pixels left over": {"patch_size": 7},
}


def numbers(ours: DualEncoder, images: list[Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings of images and of hf_pair.TEXTS, and their logits."""
    left, right = ours.encode_image(images, output="torch"), ours.encode_text(hf_pair.TEXTS, output="torch")
    with torch.no_grad():
        return left, right, ours.scale * left @ right.T + (0 if ours.bias is None else ours.bias)


def theirs(
    model: Any, folder: Path, ours: DualEncoder, images: list[Any], padding: str | bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The same of a transformers model, with its own tokenizer; the pixels have their test elsewhere."""
    read = AutoTokenizer.from_pretrained(folder)(
        hf_pair.TEXTS, padding=padding, truncation=True, max_length=hf_pair.CONTEXT, return_tensors="pt"
    )
    pixels = ours.preprocessing.normalise(torch.stack([ours.preprocessing.evaluate(image) for image in images]))
    with torch.no_grad():
        found = model(pixel_values=pixels, **read)
    return found.image_embeds, found.text_embeds, found.logits_per_image


def agree(found: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> None:
    for left, right in zip(found, wanted, strict=True):
        torch.testing.assert_close(left, right, **CLOSE)


@pytest.mark.parametrize("padding", [True, "max_length"], ids=["padded to the longest", "padded to the context"])
@pytest.mark.parametrize("options", CLIPS.values(), ids=CLIPS)
def test_clip_gives_its_numbers(options: dict[str, Any], padding: str | bool, tmp_path: Path) -> None:
    model = hf_pair.clip(tmp_path, **options)
    ours, images = dovetail.load(tmp_path), small.pictures(4)
    agree(numbers(ours, images), theirs(model, tmp_path, ours, images, padding))
    assert ours.log_scale.item() == pytest.approx(1.7)


@pytest.mark.parametrize("options", SIGLIPS.values(), ids=SIGLIPS)
def test_siglip_gives_its_numbers(options: dict[str, Any], tmp_path: Path) -> None:
    model = hf_pair.siglip(tmp_path, **options)
    ours, images = dovetail.load(tmp_path), small.pictures(4)
    agree(numbers(ours, images), theirs(model, tmp_path, ours, images, "max_length"))
    assert ours.tokenizer(["a dog"]).mask.sum() == hf_pair.CONTEXT, "padding is text"


def test_naflex_gives_its_numbers_on_square_pictures(tmp_path: Path) -> None:
    model = hf_pair.naflex(tmp_path)
    ours, images = dovetail.load(tmp_path), [p.resize((45, 45)) for p in small.pictures(3)]
    texts = AutoTokenizer.from_pretrained(tmp_path)(
        hf_pair.TEXTS, padding="max_length", truncation=True, max_length=hf_pair.CONTEXT, return_tensors="pt"
    )
    pixels = Siglip2ImageProcessorPil.from_pretrained(tmp_path)(images, return_tensors="pt")
    with torch.no_grad():
        found = model(**pixels, input_ids=texts["input_ids"])
    agree(numbers(ours, images), (found.image_embeds, found.text_embeds, found.logits_per_image))


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_what_is_written_is_the_same_there(kind: str, tmp_path: Path) -> None:
    made: Any = {"clip": hf_pair.clip, "siglip": hf_pair.siglip}[kind](tmp_path / "theirs")
    ours, images = layout.read(tmp_path / "theirs").eval(), small.pictures(3)
    layout.write(ours, tmp_path / "ours")
    again = type(made).from_pretrained(tmp_path / "ours").eval()
    wanted = theirs(made, tmp_path / "theirs", ours, images, "max_length")
    agree(theirs(again, tmp_path / "ours", ours, images, "max_length"), wanted)
    before, after = (load_tensors(tmp_path / name / "model.safetensors") for name in ("theirs", "ours"))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[k], after[k]) and before[k].shape == after[k].shape for k in before)
    second = layout.read(tmp_path / "ours")
    assert save(ours, tmp_path / "a") and save(second, tmp_path / "b")
    for name in ("config.json", "preprocessing.json", "tokenizer_config.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_a_processor_may_be_saved_whole(tmp_path: Path) -> None:
    """As `processor.save_pretrained` does now: the image processor lies in processor_config.json."""
    hf_pair.clip(tmp_path / "a")
    before = dovetail.load(tmp_path / "a")
    CLIPProcessor.from_pretrained(tmp_path / "a").save_pretrained(tmp_path / "b")
    CLIPModel.from_pretrained(tmp_path / "a").save_pretrained(tmp_path / "b", max_shard_size="20KB")
    assert (
        not (tmp_path / "b" / "preprocessor_config.json").exists()
        and not (tmp_path / "b" / "model.safetensors").exists()
    )
    after = dovetail.load(tmp_path / "b")
    agree(numbers(after, small.pictures(2)), numbers(before, small.pictures(2)))


def test_a_config_may_leave_out_what_is_usual(tmp_path: Path) -> None:
    """The hub's SigLIP states next to nothing."""
    model = hf_pair.siglip(tmp_path)
    config = read_json(tmp_path / "config.json")
    for part in ("text_config", "vision_config"):
        for name in ("hidden_act", "layer_norm_eps", "num_channels", "attention_dropout"):
            config[part].pop(name, None)
    write_json(config, tmp_path / "config.json")
    ours, images = dovetail.load(tmp_path), small.pictures(2)
    agree(numbers(ours, images), theirs(model, tmp_path, ours, images, "max_length"))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_precision_is_kept(dtype: torch.dtype, tmp_path: Path) -> None:
    hf_pair.clip(tmp_path / "a").to(dtype).save_pretrained(tmp_path / "a")
    read = layout.read(tmp_path / "a")
    assert {p.dtype for p in read.parameters()} == {dtype}
    assert CLIPModel.from_pretrained(layout.write(read, tmp_path / "b"), dtype="auto").dtype == dtype


def test_a_great_scale_may_stay(tmp_path: Path) -> None:
    model = hf_pair.siglip(tmp_path)
    model.logit_scale.data.fill_(4.77)
    model.save_pretrained(tmp_path)
    ours = dovetail.load(tmp_path)
    ours.clamp_scale()
    assert ours.log_scale.item() == pytest.approx(4.77, abs=1e-5)


def test_it_can_be_trained(tmp_path: Path) -> None:
    hf_pair.siglip(tmp_path)
    ours = dovetail.load(tmp_path)
    assert all(p.requires_grad and not p.is_meta for p in ours.parameters())


def test_recognises_its_own_alone(tmp_path: Path) -> None:
    hf_pair.siglip(tmp_path / "siglip")
    assert layout_of(tmp_path / "siglip") is layout
    save(small.model(), tmp_path / "ours")
    for config in ({"model_type": "bert"}, [], "clip"):
        write_json(config, tmp_path / "config.json")
        assert not layout.recognises(tmp_path)
    assert not layout.recognises(tmp_path / "ours") and not layout.recognises(tmp_path / "nothing")


Change = tuple[tuple[str, ...], Any, str]
CHANGES: dict[str, Change] = {
    "another activation": (("vision_config", "hidden_act"), "relu", "hidden_act is 'relu', not one of gelu"),
    "another size": (
        ("vision_config", "image_size"),
        64,
        "makes pictures of 32 pixels, the tower of config.json reads 64",
    ),
    "an oblong": (("vision_config", "image_size"), [32, 64], r"image_size [\[(]32, 64[\])] is no square"),
    "grey": (("vision_config", "num_channels"), 1, "num_channels is 1, not 3"),
    "no number": (("text_config", "hidden_size"), "wide", "transformers cannot read it"),
    "more blocks": (("text_config", "num_hidden_layers"), 4, r"model\.safetensors misses 12 tensors"),
    "several ends": (("text_config", "eos_token_id"), [3, 4], r"eos_token_id is \[3, 4\], not a number"),
}


@pytest.mark.parametrize("path, value, message", CHANGES.values(), ids=CHANGES)
def test_a_configuration_that_does_not_fit_is_explained(
    path: tuple[str, str], value: Any, message: str, tmp_path: Path
) -> None:
    hf_pair.clip(tmp_path)
    config = read_json(tmp_path / "config.json")
    config[path[0]][path[1]] = value
    write_json(config, tmp_path / "config.json")
    with pytest.raises(CheckpointError, match=message):
        dovetail.load(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "preprocessor_config.json", "tokenizer.json"])
def test_missing_and_broken_files_are_named(name: str, tmp_path: Path) -> None:
    hf_pair.clip(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "a" / name).unlink()
    whole = (tmp_path / "b" / name).read_bytes()
    (tmp_path / "b" / name).write_bytes(whole[: len(whole) // 2])
    for folder in ("a", "b"):
        with pytest.raises(ValueError, match=str(tmp_path / folder)):
            dovetail.load(tmp_path / folder)


def test_weights_of_another_architecture_are_named(tmp_path: Path) -> None:
    hf_pair.clip(tmp_path)
    hf_pair.siglip(tmp_path / "siglip")
    shutil.copy(tmp_path / "siglip" / "model.safetensors", tmp_path)
    with pytest.raises(
        CheckpointError, match=r"model\.safetensors: logit_bias is no tensor of transformers' CLIPModel"
    ):
        dovetail.load(tmp_path)


def test_what_cannot_be_written_is_explained(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no model of the towers vit and text_transformer; those of clip_vit and"):
        layout.write(small.model(), tmp_path / "out")
    hf_pair.clip(tmp_path / "clip")
    hf_pair.siglip(tmp_path / "siglip")
    clip, siglip = dovetail.load(tmp_path / "clip"), dovetail.load(tmp_path / "siglip")
    clip.text.end = 2
    with pytest.raises(CheckpointError, match="takes an end of text of id 2 for `the highest id`"):
        layout.write(clip, tmp_path / "out")
    clip.text.end, clip.bias = None, torch.nn.Parameter(torch.zeros(()))
    siglip.bias = None
    for model in (clip, siglip):
        with pytest.raises(CheckpointError, match="this model differs"):
            layout.write(model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_files_of_a_folder(tmp_path: Path) -> None:
    hf_pair.siglip(tmp_path / "a")
    folder = layout.write(dovetail.load(tmp_path / "a"), tmp_path / "deep" / "b")
    files = {"config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"}
    assert {path.name for path in folder.iterdir()} == files
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["SiglipModel"] and config["dtype"] == "float32"
    assert SiglipModel.from_pretrained(folder).config.text_config.projection_size == 32
