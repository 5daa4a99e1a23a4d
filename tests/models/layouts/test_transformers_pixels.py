"""Pictures become the pixels that transformers' image processors make of them: photos, exactly those of its processors
on Pillow, and within a grey level or two those of its processors on torchvision."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from dovetail.data.images import decode
from dovetail.data.preprocessing import HALF, OPENAI, Preprocessing
from dovetail.models.files import CheckpointError, write_json
from dovetail.models.layouts.transformers_pixels import FILE, JOINT, preprocessing_of, preprocessor_config

PROCESSORS: dict[str, tuple[str, dict[str, Any]]] = {
    "clip": ("CLIPImageProcessor", {"size": {"shortest_edge": 48}, "crop_size": {"height": 48, "width": 48}}),
    "clip, odd": ("CLIPImageProcessor", {"size": {"shortest_edge": 61}, "crop_size": {"height": 48, "width": 48}}),
    "clip, square": (
        "CLIPImageProcessor",
        {"size": {"height": 50, "width": 50}, "crop_size": {"height": 45, "width": 45}},
    ),
    "clip, squashed": ("CLIPImageProcessor", {"size": {"height": 48, "width": 48}, "do_center_crop": False}),
    "chinese": ("ChineseCLIPImageProcessor", {"size": {"shortest_edge": 48}, "crop_size": 48, "resample": 2}),
    "siglip": ("SiglipImageProcessor", {"size": {"height": 48, "width": 48}}),
    "siglip, lanczos": ("SiglipImageProcessor", {"size": {"height": 48, "width": 48}, "resample": 1}),
    "vit": ("ViTImageProcessor", {"size": {"height": 48, "width": 48}, "image_std": [0.2, 0.3, 0.4]}),
    "nearest": ("ViTImageProcessor", {"size": {"height": 48, "width": 48}, "resample": 0, "do_normalize": False}),
    "deit": ("DeiTImageProcessor", {"size": {"height": 54, "width": 54}, "crop_size": {"height": 48, "width": 48}}),
    "blip": ("BlipImageProcessor", {"size": {"height": 48, "width": 48}}),
    "bit": ("BitImageProcessor", {"size": {"shortest_edge": 56}, "crop_size": {"height": 48, "width": 48}}),
    "align": (
        "EfficientNetImageProcessor",
        {
            "size": {"height": 57, "width": 57},
            "crop_size": {"height": 48, "width": 48},
            "do_center_crop": True,
            "rescale_factor": 1 / 127.5,
            "rescale_offset": True,
            "do_normalize": False,
            "include_top": False,
            "resample": 2,
        },
    ),
    "efficientnet": ("EfficientNetImageProcessor", {"size": {"height": 48, "width": 48}}),
    "not rescaled": (
        "ViTImageProcessor",
        {"size": {"height": 48, "width": 48}, "do_rescale": False, "image_mean": [9.0, 8.0, 7.0]},
    ),
}
EACH = pytest.mark.parametrize("kind, options", PROCESSORS.values(), ids=PROCESSORS)
BARE = {"do_rescale": False, "do_normalize": False, "include_top": False}


@pytest.fixture(scope="module")
def photos(shared_data: Path) -> list[Image.Image]:
    """Twenty, of as many shapes as there are."""
    found: dict[float, Path] = {}
    for folder in ("flickr8k/images", "coco_cc/images", "flowers", "vqa_rad/images"):
        for path in sorted(p for p in (shared_data / folder).rglob("*") if p.suffix in (".jpg", ".png", ".jpeg"))[:150]:
            with Image.open(path) as image:
                found.setdefault(round(image.width / image.height, 3), path)
    shapes = sorted(found)
    chosen = [shapes[i * (len(shapes) - 1) // 19] for i in range(20)]
    assert len(set(chosen)) == 20
    return [decode(found[shape]) for shape in chosen]


def theirs(kind: str, options: dict[str, Any], on: str) -> Any:
    return getattr(transformers, kind + on)(**options)


@EACH
def test_twenty_photos_equal_pillows(
    photos: list[Image.Image], kind: str, options: dict[str, Any], tmp_path: Path
) -> None:
    processor = theirs(kind, options, "Pil")
    processor.save_pretrained(tmp_path)
    ours = preprocessing_of(tmp_path)
    for image in photos:
        found = ours.evaluate(image)
        wanted = processor(image, return_tensors="pt", **_bare(processor))["pixel_values"][0]
        assert torch.equal(found, wanted), image.size
        values = processor(image, return_tensors="pt")["pixel_values"][0]
        torch.testing.assert_close(ours.normalise(found[None])[0], values.float(), rtol=1e-5, atol=2e-6)


@EACH
def test_twenty_photos_are_near_torchvisions(
    photos: list[Image.Image], kind: str, options: dict[str, Any], tmp_path: Path
) -> None:
    """It rounds its weights otherwise: one grey level apart, on no more than a tenth of the pixels."""
    if options.get("resample") == 0:
        pytest.skip("the nearest pixel of Pillow and of torchvision are two")
    processor = theirs(kind, options, "")
    processor.save_pretrained(tmp_path)
    ours = preprocessing_of(tmp_path)
    for image in photos:
        wanted = processor(image, return_tensors="pt", **_bare(processor))["pixel_values"][0]
        apart = (ours.evaluate(image).float() - wanted.float()).abs()
        assert apart.max() <= 1 and apart.mean() <= 0.1, (image.size, apart.max(), apart.mean())


@EACH
def test_what_is_written_is_read_by_us_and_by_transformers(
    photos: list[Image.Image], kind: str, options: dict[str, Any], tmp_path: Path
) -> None:
    theirs(kind, options, "Pil").save_pretrained(tmp_path)
    ours = preprocessing_of(tmp_path)
    write_json(preprocessor_config(ours), tmp_path / FILE)
    assert preprocessing_of(tmp_path) == ours
    again = getattr(transformers, preprocessor_config(ours)["image_processor_type"] + "Pil").from_pretrained(tmp_path)
    for image in photos[::5]:
        values = again(image, return_tensors="pt")["pixel_values"][0]
        torch.testing.assert_close(ours.normalise(ours.evaluate(image)[None])[0], values, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("size", [(35, 32), (32, 35), (43, 32), (33, 32), (611, 32), (70, 1000)])
def test_the_middle_is_rounded_down(size: tuple[int, int], tmp_path: Path) -> None:
    """torchvision's is the even one: for every fourth width a column further right."""
    processor = theirs("CLIPImageProcessor", {"size": {"shortest_edge": 32}, "crop_size": 32}, "Pil")
    processor.save_pretrained(tmp_path)
    image = noise(*size)
    wanted = processor(image, return_tensors="pt", **_bare(processor))["pixel_values"][0]
    assert torch.equal(preprocessing_of(tmp_path).evaluate(image), wanted)
    even = Preprocessing(32, resize="crop").evaluate(image)
    assert torch.equal(even, wanted) == ((max(size) * 32 // min(size)) % 4 != 3)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "L", "P", "1", "CMYK"])
def test_pictures_of_other_colours(mode: str, tmp_path: Path) -> None:
    """Transparency lies on white there as well."""
    processor = theirs("SiglipImageProcessor", {"size": {"height": 32, "width": 32}}, "Pil")
    processor.save_pretrained(tmp_path)
    values = np.random.default_rng(0).integers(0, 256, (40, 50, 4), dtype=np.uint8)
    image = Image.fromarray(values[..., :3] if mode == "P" else values).convert(mode)
    wanted = processor(image, return_tensors="pt", **_bare(processor))["pixel_values"][0]
    assert torch.equal(preprocessing_of(tmp_path).evaluate(decode(image)), wanted)


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def _bare(processor: Any) -> dict[str, bool]:
    return {k: v for k, v in BARE.items() if hasattr(processor, k)}


def written(folder: Path, name: str = FILE, **entries: Any) -> Path:
    write_json({"image_processor_type": "CLIPImageProcessor", **entries}, folder / name)
    return folder


def test_older_files_state_numbers_and_leave_much_out(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(
        json.dumps({"feature_extractor_type": "CLIPFeatureExtractor", "size": 40, "crop_size": 40})
    )
    found = preprocessing_of(tmp_path)
    assert found == Preprocessing(40, *OPENAI, interpolation="bicubic", resize="crop_floor")
    (tmp_path / FILE).write_text(
        json.dumps({"feature_extractor_type": "ViTFeatureExtractor", "size": 40, "resample": None})
    )
    assert preprocessing_of(tmp_path) == Preprocessing(40, *HALF, interpolation="bilinear", resize="squash")
    (tmp_path / FILE).write_text(json.dumps({"image_processor_type": "ViTImageProcessorFast", "size": [40, 40]}))
    assert preprocessing_of(tmp_path).size == 40
    (tmp_path / FILE).write_text(json.dumps({"image_processor_type": "SiglipImageProcessor", "image_mean": 0.25}))
    assert preprocessing_of(tmp_path).mean == (0.25, 0.25, 0.25)


def test_a_processor_saved_whole_is_read_first(tmp_path: Path) -> None:
    written(tmp_path, size={"shortest_edge": 40}, crop_size=40)
    inner = {"image_processor_type": "SiglipImageProcessor", "size": {"height": 24, "width": 24}}
    write_json({"processor_class": "SiglipProcessor", "image_processor": inner}, tmp_path / JOINT)
    assert preprocessing_of(tmp_path).size == 24
    write_json({"processor_class": "SiglipProcessor"}, tmp_path / JOINT)
    assert preprocessing_of(tmp_path).size == 40


def test_naflex_is_squashed_to_its_own_square(tmp_path: Path) -> None:
    processor = transformers.Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16)
    processor.save_pretrained(tmp_path)
    ours = preprocessing_of(tmp_path)
    assert (ours.size, ours.resize, ours.mean) == (32, "squash", HALF[0])
    image = noise(50, 50)
    patches = processor(image, return_tensors="pt")["pixel_values"][0]
    square = patches.reshape(4, 4, 8, 8, 3).permute(4, 0, 2, 1, 3).reshape(3, 32, 32)
    torch.testing.assert_close(ours.normalise(ours.evaluate(image)[None])[0], square, rtol=1e-5, atol=2e-6)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another kind": ({"image_processor_type": "LlavaImageProcessor"}, "is LlavaImageProcessor; there are CLIPImage"),
    "no kind": ({"image_processor_type": None}, "is not named; there are"),
    "no resize": ({"do_resize": False}, "do_resize is false"),
    "padding": ({"do_pad": True}, "do_pad is true"),
    "no square": ({"do_center_crop": False}, "without a centre crop makes no square"),
    "an oblong crop": ({"crop_size": {"height": 3, "width": 4}}, "crop_size .* is no square"),
    "an oblong": ({"size": {"height": 3, "width": 4}}, "makes no square"),
    "the longest edge": ({"size": {"shortest_edge": 3, "longest_edge": 4}}, "makes no square"),
    "a large crop": ({"size": {"shortest_edge": 3}}, "crop_size 224 is larger than the shortest_edge 3"),
    "another middle": ({"size": {"height": 227, "width": 227}}, "crop_size 224 is cut from 227 pixels"),
    "a strange filter": ({"resample": 5}, "resample is 5"),
    "a strange size": ({"size": "large"}, "size is 'large'"),
    "too few patches": ({"image_processor_type": "Siglip2ImageProcessor", "max_num_patches": 15}, "15 are no square"),
}


@pytest.mark.parametrize("entries, message", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_refused(entries: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"preprocessor_config\.json: .*{message}"):
        preprocessing_of(written(tmp_path, **entries))


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"preprocessor_config\.json: the file is missing"):
        preprocessing_of(tmp_path)
    (tmp_path / FILE).write_text("[]")
    with pytest.raises(CheckpointError, match=r"preprocessor_config\.json: holds no object"):
        preprocessing_of(tmp_path)


def test_padding_cannot_be_written() -> None:
    with pytest.raises(CheckpointError, match="no way to pad a picture to a square"):
        preprocessor_config(Preprocessing(resize="pad"))
