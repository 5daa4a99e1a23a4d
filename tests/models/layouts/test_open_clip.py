"""open_clip's folders: what is read beside the towers, what is refused, and by which name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform, image_transform_v2
from PIL import Image

import dovetail
from dovetail.catalogue import build
from dovetail.data.images import decode
from dovetail.data.preprocessing import HALF, OPENAI, Preprocessing
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.files import CheckpointError, load_tensors
from dovetail.models.layouts import open_clip
from dovetail.models.pretrained import opened as stored
from tests.models.layouts.open_clips import CAPTIONS, config, opened, saved, tokens, words
from tests.models.layouts.test_open_clip_towers import equal
from tests.models.small import model, pictures

Change = Callable[[dict[str, Any]], object]
COCA: dict[str, Any] = config(
    {"attentional_pool": True, "attn_pooler_queries": 5, "attn_pooler_heads": 3, "output_tokens": True},
    {"embed_cls": True, "output_tokens": True},
    custom_text=True,
    multimodal_cfg={
        "context_length": 16,
        "vocab_size": 60,
        "width": 24,
        "heads": 3,
        "layers": 1,
        "attn_pooler_heads": 3,
    },
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is not to be changed."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("made") / "clip"
    saved(config(text={"vocab_size": 400, "hf_tokenizer_name": "words"}), folder)
    words(folder, bert=True)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """One that a test may change."""
    for path in made.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_of_coca_the_decoder_is_left_aside_and_named(tmp_path: Path) -> None:
    theirs = saved(dict(COCA), tmp_path / "coca")
    with pytest.warns(UserWarning, match=r"text_decoder\.\* \(\d+ tensors\) writes captions and is left aside"):
        ours = dovetail.load(tmp_path / "coca")
    pixels = torch.randn(2, 3, 32, 32)
    ids = tokens(tmp_path / "coca", CAPTIONS)
    with torch.no_grad():
        image, text = theirs.encode_image(pixels, normalize=False), theirs.encode_text(ids, normalize=False)
        torch.testing.assert_close(ours.image_features(pixels).pooled, image, rtol=1e-5, atol=1e-5)
        found = ours.text_features(ours.tokenizer(CAPTIONS)).pooled
        torch.testing.assert_close(found, text, rtol=1e-5, atol=1e-5)
        _, theirs_tokens = theirs._encode_image(pixels)
        torch.testing.assert_close(ours.image_features(pixels).pooled.shape, image.shape)
        torch.testing.assert_close(ours.image(pixels).tokens, theirs_tokens, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_pixels_are_open_clips(mode: str, interpolation: str, folder: Path, shared_data: Path) -> None:
    pixels = {
        "resize_mode": mode,
        "interpolation": interpolation,
        "mean": [0.5, 0.4, 0.3],
        "std": 0.25,
        "fill_color": 114,
    }
    _change(folder, lambda cfg: cfg.update(preprocess_cfg=pixels))
    ours = dovetail.load(folder).preprocessing
    theirs = image_transform(32, False, (0.5, 0.4, 0.3), (0.25,) * 3, mode, interpolation, fill_color=114)
    for path in photos(shared_data):
        picture = decode(path)
        found = ours.normalise(ours.evaluate(picture)[None])[0]
        torch.testing.assert_close(found, theirs(picture), rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(576, 261), (261, 576), (165, 480), (9, 40), (224, 224), (301, 300)])
@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_pixels_of_awkward_shapes_are_open_clips(mode: str, shape: tuple[int, int]) -> None:
    """Whose sides lie between two pixels, among others."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8))
    for size in (224, 336):
        theirs = image_transform(size, False, (0.0,) * 3, (1.0,) * 3, mode)
        ours = Preprocessing(size, resize=open_clip.RESIZE[mode], ground=(0, 0, 0)).evaluate(picture)
        assert torch.equal(ours, (theirs(picture) * 255).round().to(torch.uint8))


def test_pixels_are_openais_unless_told(folder: Path, shared_data: Path) -> None:
    ours = dovetail.load(folder).preprocessing
    assert (ours.mean, ours.std, ours.resize, ours.interpolation) == (*OPENAI, "crop", "bicubic")
    theirs = image_transform_v2(PreprocessCfg(size=32), is_train=False)
    for path in photos(shared_data)[:5]:
        found = ours.normalise(ours.evaluate(decode(path))[None])[0]
        torch.testing.assert_close(found, theirs(decode(path)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("resize", ["crop", "squash", "pad"])
def test_pixels_are_written_as_they_were(resize: str, folder: Path, tmp_path: Path) -> None:
    held = dovetail.load(folder)
    ground = (3, 4, 5) if resize == "pad" else None
    held.preprocessing = Preprocessing(32, *HALF, "bilinear", resize, ground=ground)
    open_clip.write(held, tmp_path / "again")
    assert dovetail.load(tmp_path / "again").preprocessing == held.preprocessing
    assert opened(tmp_path / "again").visual.preprocess_cfg["interpolation"] == "bilinear"


def test_the_precision_is_the_files(folder: Path, tmp_path: Path) -> None:
    path = folder / "open_clip_model.safetensors"
    state = {k: v.half() for k, v in load_tensors(path).items()}
    path.unlink()
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, folder / "open_clip_pytorch_model.bin")
    held = stored(folder)
    assert {v.dtype for v in held.state_dict().values()} == {torch.float16}
    open_clip.write(held, tmp_path / "again")
    again = load_tensors(tmp_path / "again" / path.name)
    assert again.keys() == state.keys() and all(torch.equal(again[k], state[k]) for k in state)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c["model_cfg"].pop("embed_dim"), "model_cfg: the entry embed_dim is missing"),
        (lambda c: c["model_cfg"].update(blur=1), "model_cfg: the entry blur is unknown"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(layers=[3, 4, 6, 3]), "is no tensor of CLIP's ResNet"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(qk_norm=True), "vision_cfg: qk_norm = True is not supported"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(pool_type="none"), "vision_cfg: pool_type = 'none'"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(image_size=[32, 64]), r"vision_cfg: image_size = \[32, 64\]"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(attentional_pool="cascade"), "attentional_pool = 'cascade'"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(norm_kwargs={"bias": False}), "vision_cfg: norm_kwargs"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(act_kwargs={"beta": 2}), "vision_cfg: act_kwargs"),
        (lambda c: c["model_cfg"]["text_cfg"].update(scale_fc=True), "text_cfg: scale_fc = True is not supported"),
        (lambda c: c["model_cfg"]["text_cfg"].update(pool_type="mean"), "text_cfg: pool_type = 'mean'"),
        (lambda c: c["model_cfg"]["text_cfg"].update(proj_type="mlp"), "text_cfg: proj_type = 'mlp'"),
        (
            lambda c: c["model_cfg"]["text_cfg"].update(proj_bias=True),
            "text_projection.weight, which the text_cfg asks",
        ),
        (
            lambda c: c["model_cfg"]["text_cfg"].update(vocab_size=50),
            "tokenizer has 120 tokens, the text tower knows 50",
        ),
        (lambda c: c["model_cfg"].update(vision_cfg=[1]), "an entry is of another kind"),
        (lambda c: c["model_cfg"]["vision_cfg"].update(head_width=0), "an entry is of another kind"),
        (lambda c: c["model_cfg"]["text_cfg"].update(context_length="many"), "an entry is of another kind"),
        (lambda c: c.update(preprocess_cfg={"resize_mode": "fold"}), "resize_mode fold is not supported"),
        (lambda c: c.update(preprocess_cfg={"sharpen": 1}), "preprocess_cfg: the entry sharpen is unknown"),
    ],
)
def test_names_what_is_not_supported(change: Change, told: str, folder: Path) -> None:
    _change(folder, change)
    with pytest.raises(CheckpointError, match=rf"open_clip_config\.json: .*{told}"):
        dovetail.load(folder)


def test_says_which_tensors_do_not_fit(folder: Path) -> None:
    _change(folder, lambda c: c["model_cfg"]["vision_cfg"].update(layers=3))
    with pytest.raises(CheckpointError, match=r"safetensors misses 12 tensors, e.g. image.transformer.blocks.2"):
        dovetail.load(folder)
    _change(folder, lambda c: c["model_cfg"]["vision_cfg"].update(layers=2, width=40))
    with pytest.raises(CheckpointError, match="has the wrong shape for"):
        dovetail.load(folder)
    (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"open_clip_model.safetensors: the file is missing"):
        dovetail.load(folder)


def test_says_what_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no name for the image tower vit; it has one for clip_vit"):
        open_clip.write(model(), tmp_path / "no")
    held = dovetail.load(folder)
    for p, told in (
        (Preprocessing(32, scaled=40), "no preprocessing of resize squash, scaled 40"),
        (Preprocessing(32, interpolation="lanczos"), "interpolation lanczos"),
    ):
        held.preprocessing = p
        with pytest.raises(CheckpointError, match=told):
            open_clip.write(held, tmp_path / "no")
    held.preprocessing = Preprocessing(32)
    options = (held.preprocessing, held.tokenizer, build("cosine"))
    quick = build("clip_vit(size=32, patch=8, width=16, depth=1, heads=2, activation='quick_gelu')")
    with pytest.raises(CheckpointError, match="quick_gelu for both towers or for none"):
        open_clip.write(DualEncoder(quick, held.text, 12, *options), tmp_path / "no")
    biased = build("clip_vit(size=32, patch=8, width=16, depth=1, heads=2, patch_bias=True)")
    with pytest.raises(CheckpointError, match="no bias for its patches"):
        open_clip.write(DualEncoder(biased, held.text, 12, *options), tmp_path / "no")
    sees = build("open_clip_text(vocabulary=400, context=16, inner=16, depth=1, heads=2)")
    with pytest.raises(CheckpointError, match="read padding up to the context as text; this model's do not"):
        open_clip.write(DualEncoder(held.image, sees, 12, *options), tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_a_model_trained_here_is_opened_by_open_clip(folder: Path, tmp_path: Path) -> None:
    tokenizer = dovetail.load(folder).tokenizer
    image, text = (
        build("clip_vit(size=32, patch=8, width=16, depth=2, heads=2)"),
        build(
            f"clip_text(vocabulary={tokenizer.vocab_size}, context=16, width=16, depth=1, heads=2, end={tokenizer.eos})"
        ),
    )
    ours = DualEncoder(image, text, 12, Preprocessing(32), tokenizer, build("cosine"), bias=-4.0).eval()
    place = open_clip.write(ours, tmp_path / "ours")
    equal(ours, opened(place), tokens(place, CAPTIONS))
    again = dovetail.load(place)
    assert (again.encode_text(CAPTIONS) == ours.encode_text(CAPTIONS)).all()
    assert (again.encode_image(pictures(2)) == ours.encode_image(pictures(2))).all()


def photos(shared_data: Path) -> list[Path]:
    """Twenty photos of every shape."""
    counts = {"coco_cc": 8, "vqa_rad": 8, "flickr8k": 4}
    return [path for name, n in counts.items() for path in sorted((shared_data / name / "images").iterdir())[:n]]


def _change(folder: Path, change: Change) -> None:
    path = folder / "open_clip_config.json"
    held = json.loads(path.read_text())
    change(held)
    path.write_text(json.dumps(held))
