"""Folders of transformers' dual models: the same numbers and pixels as there, and the same tensors there and back."""

import itertools
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from dovetail.data.images import decode
from dovetail.models.files import CheckpointError, load_tensors, read_json, save_tensors, write_json
from dovetail.models.layouts import transformers_dual
from dovetail.models.pretrained import layout_of, load, save
from dovetail.nn.hf_dual import FAMILIES, as_json
from tests.models import small
from tests.models.hf_duals import CONFIGS, TEXTS, saved, theirs

NAMES = pytest.mark.parametrize("name", CONFIGS)
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
SQUARE = {"height": 32, "width": 32}
PROCESSORS: dict[str, tuple[str, dict[str, Any]]] = {  # as the published checkpoints have them, at another size
    "align": (
        "EfficientNetImageProcessor",
        {"size": SQUARE, "resample": 2, "do_center_crop": False, "rescale_factor": 1 / 127.5, "rescale_offset": True,
         "do_normalize": False, "include_top": False},
    ),
    "altclip": ("CLIPImageProcessor", {"size": {"shortest_edge": 32}, "crop_size": SQUARE}),
    "chinese_clip": ("ChineseCLIPImageProcessor", {"size": SQUARE, "do_center_crop": False}),
    "groupvit": ("CLIPImageProcessor", {"size": {"shortest_edge": 32}, "crop_size": SQUARE}),
    "vit and bert": ("ViTImageProcessor", {"size": SQUARE}),
}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("duals")
    return {name: saved(theirs(name), place / name.replace(" ", "_")) for name in CONFIGS}


@NAMES
@pytest.mark.parametrize("texts", [TEXTS, TEXTS[:1]], ids=["padded", "unpadded"])
def test_the_numbers_are_those_of_transformers(name: str, texts: list[str], folders: dict[str, Path]) -> None:
    assert layout_of(folders[name]) is transformers_dual
    ours, model = load(folders[name]), transformers.AutoModel.from_pretrained(folders[name]).eval()
    words = transformers.AutoTokenizer.from_pretrained(folders[name])(
        texts, padding=True, truncation=True, return_tensors="pt"
    )
    tokens = ours.tokenizer(texts)
    assert torch.equal(tokens.ids, words["input_ids"]) and torch.equal(tokens.mask.long(), words["attention_mask"])
    pixels = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        asked = {k: words[k] for k in ("input_ids", "attention_mask")}
        expected = model(pixel_values=pixels, **asked)
        images, found = ours.image_features(pixels).pooled, ours.text_features(tokens).pooled
        torch.testing.assert_close(images, model.get_image_features(pixels).pooler_output, **CLOSE)
        torch.testing.assert_close(found, model.get_text_features(**asked).pooler_output, **CLOSE)
        logits = ours.scale * ours.similarity(images, found)
    torch.testing.assert_close(logits, expected.logits_per_image, **CLOSE)


@NAMES
def test_there_and_back_is_the_same_to_the_last_bit(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    again = transformers_dual.write(load(folders[name]), tmp_path / "again")
    before, after = (load_tensors(place / "model.safetensors") for place in (folders[name], again))
    assert before.keys() == after.keys()
    assert not [
        key for key in before if not torch.equal(before[key], after[key]) or before[key].dtype != after[key].dtype
    ]
    configs = [transformers.AutoConfig.from_pretrained(place) for place in (folders[name], again)]
    assert as_json(configs[0]) == as_json(configs[1])
    pictures = small.pictures(2)
    first, second = load(folders[name]), load(again)
    assert first.preprocessing == second.preprocessing
    assert np.array_equal(first.encode_image(pictures), second.encode_image(pictures))
    assert np.array_equal(first.encode_text(TEXTS), second.encode_text(TEXTS))


@pytest.mark.parametrize("name", ["align", "altclip"])
def test_through_our_own_layout_as_well(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    ours = load(save(load(folders[name]), tmp_path / "run"))
    again = transformers_dual.write(ours, tmp_path / "again")
    before, after = (load_tensors(place / "model.safetensors") for place in (folders[name], again))
    assert not [key for key in before if not torch.equal(before[key], after[key])]


def test_a_temperature_that_has_learnt_is_written_as_it_is_now(folders: dict[str, Path], tmp_path: Path) -> None:
    ours = load(folders["align"])
    torch.nn.init.constant_(ours.log_scale, 3.0)
    again = transformers_dual.write(ours, tmp_path / "again")
    assert float(load_tensors(again / "model.safetensors")["temperature"]) == pytest.approx(np.exp(-3.0), rel=1e-6)
    assert load(again).log_scale.item() == pytest.approx(3.0, rel=1e-6)


def test_half_precision_is_read_as_it_is_stored(folders: dict[str, Path], tmp_path: Path) -> None:
    model = transformers.AutoModel.from_pretrained(folders["chinese_clip"]).half()
    place = saved(model, tmp_path / "half")
    read = transformers_dual.read(place)
    assert {p.dtype for p in read.parameters()} == {torch.float16}
    again = transformers_dual.write(read, tmp_path / "again")
    before, after = (load_tensors(p / "model.safetensors") for p in (place, again))
    assert all(torch.equal(before[k], after[k]) and after[k].dtype == torch.float16 for k in before)


def test_older_folders_hold_a_pickle_of_tensors(folders: dict[str, Path], tmp_path: Path) -> None:
    place = Path(shutil.copytree(folders["chinese_clip"], tmp_path / "older"))
    torch.save(load_tensors(place / "model.safetensors"), place / "pytorch_model.bin")
    (place / "model.safetensors").unlink()
    first, second = load(folders["chinese_clip"]).state_dict(), load(place).state_dict()
    assert first.keys() == second.keys() and all(torch.equal(v, second[k]) for k, v in first.items())


def test_folders_of_older_releases_have_other_names(folders: dict[str, Path], tmp_path: Path) -> None:
    place = Path(shutil.copytree(folders["clip and xlm-roberta"], tmp_path / "older"))
    held = load_tensors(place / "model.safetensors")
    older = {key.replace("vision_model.", "vision_model.vision_model.", 1): value for key, value in held.items()}
    save_tensors(older, place / "model.safetensors", {"format": "pt"})
    first, second = load(folders["clip and xlm-roberta"]).state_dict(), load(place).state_dict()
    assert first.keys() == second.keys() and all(torch.equal(v, second[k]) for k, v in first.items())


def photos(shared_data: Path, n: int = 20) -> list[Path]:
    """Real photos of every shape."""
    found = sorted(p for p in shared_data.rglob("*.jpg"))
    return found[:: max(1, len(found) // n)][:n]


@pytest.mark.parametrize("name", PROCESSORS)
def test_the_pixels_are_those_of_the_family_s_processor(name: str, shared_data: Path, tmp_path: Path) -> None:
    """Those of its Pillow backend but for float rounding; those of its torchvision backend, whose
    resize of bytes rounds otherwise, to one grey level."""
    kind, options = PROCESSORS[name]
    place = saved(theirs(name), tmp_path, getattr(transformers, kind)(**options))
    ours = load(place).preprocessing
    exact, default = getattr(transformers, kind + "Pil").from_pretrained(place), getattr(transformers, kind)(**options)
    for path in photos(shared_data):
        picture = decode(path)
        assert isinstance(picture, Image.Image)
        found = ours.normalise(ours.evaluate(picture)[None])
        expected = torch.as_tensor(np.asarray(exact(picture, return_tensors="pt")["pixel_values"]))
        torch.testing.assert_close(found, expected.float(), rtol=0, atol=1e-6)
        level = 1 / 255 / min(ours.std)
        rough = default(picture, return_tensors="pt")["pixel_values"]
        assert (found - rough).abs().max() <= 1.001 * level


def test_every_family_is_recognised() -> None:
    assert set(transformers_dual.TYPES) == set(FAMILIES)


def test_another_model_type_is_another_layout_s(folders: dict[str, Path], tmp_path: Path) -> None:
    assert not transformers_dual.recognises(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert not transformers_dual.recognises(tmp_path)


def test_what_is_broken_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    place = Path(shutil.copytree(folders["altclip"], tmp_path / "broken"))
    weights = place / "model.safetensors"
    whole = load_tensors(weights)
    save_tensors(dict(itertools.islice(whole.items(), 1, None)), weights, {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"broken misses 1 tensors, e\.g\. "):
        load(place)
    save_tensors({**whole, "extra": torch.ones(1)}, weights, {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"broken has unexpected 1 tensors, e\.g\. extra"):
        load(place)
    weights.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"broken: transformers cannot read a model from this folder"):
        load(place)
    weights.unlink()
    with pytest.raises(CheckpointError, match=r"broken: transformers cannot read a model from this folder"):
        load(place)


def test_other_models_are_refused_with_the_reason(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has no name for the image tower vit; it holds hf_dual_image alone"):
        transformers_dual.write(small.model(), tmp_path)
    one, other = load(folders["altclip"]), load(folders["chinese_clip"])
    one.text = other.text
    with pytest.raises(CheckpointError, match="these towers are of two"):
        transformers_dual.write(one, tmp_path)
    other = load(folders["altclip"])
    other.bias = torch.nn.Parameter(torch.zeros(()))
    with pytest.raises(CheckpointError, match="no place for a bias"):
        transformers_dual.write(other, tmp_path)
    assert not list(tmp_path.iterdir())


def test_remote_code_is_not_executed(folders: dict[str, Path], tmp_path: Path) -> None:
    place = Path(shutil.copytree(folders["vit and bert"], tmp_path / "remote"))
    config = read_json(place / "config.json")
    write_json({**config, "auto_map": {"AutoModel": "evil.Evil", "AutoConfig": "evil.Config"}}, place / "config.json")
    (place / "evil.py").write_text(f"from pathlib import Path\nPath({str(tmp_path / 'trace')!r}).touch()\n")
    load(place)
    assert not (tmp_path / "trace").exists()
