import json
import math
import random
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from dovetail.data.images import as_bytes
from dovetail.data.preprocessing import HALF, IMAGENET, OPENAI, Preprocessing, View
from dovetail.data.records import DataError

HOW = {"bilinear": v2.InterpolationMode.BILINEAR, "bicubic": v2.InterpolationMode.BICUBIC}


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def marked(width: int, height: int, box: tuple[float, float, float, float]) -> Image.Image:
    """Black, with a white box at these fractions."""
    image = Image.new("RGB", (width, height))
    left, top, right, bottom = (round(f * s) for f, s in zip(box, (width, height) * 2, strict=True))
    image.paste((255, 255, 255), (left, top, right, bottom))
    return image


SIZES = [(160, 107), (107, 160), (64, 64), (333, 500), (30, 41), (250, 37)]


@pytest.mark.parametrize("interpolation", HOW)
@pytest.mark.parametrize("size", SIZES)
def test_squash_equals_torchvision(interpolation: str, size: tuple[int, int]) -> None:
    image = noise(*size)
    wanted = v2.functional.pil_to_tensor(v2.Resize((64, 64), HOW[interpolation])(image))
    result = Preprocessing(size=64, interpolation=interpolation, resize="squash").evaluate(image)
    assert torch.equal(result, wanted)


@pytest.mark.parametrize("interpolation", HOW)
@pytest.mark.parametrize("size", SIZES)
def test_crop_equals_torchvision(interpolation: str, size: tuple[int, int]) -> None:
    image = noise(*size)
    wanted = v2.Compose([v2.Resize(64, HOW[interpolation]), v2.CenterCrop(64), v2.PILToTensor()])(image)
    result = Preprocessing(size=64, interpolation=interpolation, resize="crop").evaluate(image)
    assert result.is_contiguous()
    assert torch.equal(result, wanted)


@pytest.mark.parametrize("resize", ["crop", "squash"])
@pytest.mark.parametrize("scaled", [64, 70, 73])
@pytest.mark.parametrize("size", SIZES)
def test_the_middle_of_a_larger_square_equals_torchvision(resize: str, scaled: int, size: tuple[int, int]) -> None:
    image = noise(*size)
    first = v2.Resize(scaled if resize == "crop" else (scaled, scaled), HOW["bicubic"])
    wanted = v2.Compose([first, v2.CenterCrop(64), v2.PILToTensor()])(image)
    assert torch.equal(Preprocessing(size=64, resize=resize, scaled=scaled).evaluate(image), wanted)


def test_a_very_long_picture_is_cropped_without_being_enlarged_as_a_whole() -> None:
    image = noise(4000, 8)
    result = Preprocessing(size=64, resize="crop").evaluate(image)
    centre = image.crop((1996, 0, 2004, 8)).resize((64, 64), Image.Resampling.BICUBIC)
    wanted = v2.functional.pil_to_tensor(centre)
    assert torch.equal(result[:, 8:-8, 20:-20], wanted[:, 8:-8, 20:-20])  # its edges look beyond the cut


def test_pad_shows_all_on_the_mean() -> None:
    how = Preprocessing(size=40, resize="pad", mean=IMAGENET[0], std=IMAGENET[1])
    image = noise(80, 40)
    result = how.evaluate(image)
    assert torch.equal(result[:, 10:30], v2.functional.pil_to_tensor(image.resize((40, 20), Image.Resampling.BICUBIC)))
    ground = torch.cat([result[:, :10], result[:, 30:]], dim=1)
    assert how.normalise(ground[None]).abs().max() < 0.01


@pytest.mark.parametrize("mean_std", [OPENAI, IMAGENET, HALF])
def test_normalise_equals_torchvision(mean_std: tuple) -> None:
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    mean, std = mean_std
    wanted = v2.functional.normalize(images.double() / 255, mean, std)
    how = Preprocessing(size=8, mean=mean, std=std)
    torch.testing.assert_close(how.normalise(images), wanted.float(), atol=1e-6, rtol=1e-5)
    half = how.normalise(images, torch.bfloat16)
    assert torch.equal(half, how.normalise(images).bfloat16())


def test_augmentation_depends_on_the_generator_only() -> None:
    how = Preprocessing(size=32, jitter=(0.2, 0.2, 0.2))
    image = noise(90, 60)
    first, again, other = (how.augment(image, random.Random(s)) for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    state = random.getstate()
    how.augment(image, random.Random(3))
    assert random.getstate() == state
    left = []
    for size in ((90, 60), (30, 400)):  # what comes after is the same whatever the picture
        rng = random.Random(4)
        how.augment(noise(*size), rng)
        left.append(rng.random())
    assert left[0] == left[1]


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
def test_random_parts_stay_inside_and_within_the_limits(resize: str) -> None:
    how = Preprocessing(size=50, resize=resize, crop=(0.3, 0.9), aspect=(0.8, 1.25))
    rng, width, height = random.Random(0), 12_000, 9_000  # so large that whole pixels are next to no limit
    areas, ratios, flips = [], [], 0
    for _ in range(2000):
        view = how.part(width, height, rng)
        left, top, right, bottom = view.part
        assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
        edges = [left * width, top * height, right * width, bottom * height]
        assert edges == pytest.approx([round(edge) for edge in edges], abs=1e-6)
        areas.append((right - left) * (bottom - top))
        ratios.append((right - left) * width / ((bottom - top) * height))
        flips += view.flip
    base, near = 1.0 if resize == "crop" else width / height, 1 + 2e-4
    assert 0.3 / near <= min(areas) < 0.32 and 0.8 < max(areas) <= 0.9 * near
    assert base * 0.8 / near <= min(ratios) < base * 0.85 and base * 1.18 < max(ratios) <= base * 1.25 * near
    assert abs(flips / 2000 - 0.5) < 0.05


def test_a_part_of_a_tiny_picture_has_a_pixel_at_least() -> None:
    how = Preprocessing(size=8, crop=(0.01, 0.02), aspect=(0.1, 10.0))
    rng = random.Random(0)
    for view in (how.part(5, 4, rng) for _ in range(200)):
        assert view.part[2] - view.part[0] >= 1 / 5 - 1e-9 and view.part[3] - view.part[1] >= 1 / 4 - 1e-9


def cut(how: Preprocessing, image: Image.Image, view: View) -> torch.Tensor:
    out = torch.full((3, how.size, how.size), 77, dtype=torch.uint8)
    how.cut(as_bytes(image), view, out)
    return out


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal but for the rounding of another resize: on noise two grey levels at the most, and hardly ever one."""
    apart = (a.int() - b.int()).abs()
    return bool(apart.max() <= 2 and apart.float().mean() < 0.1)


@pytest.mark.parametrize("interpolation", HOW)
@pytest.mark.parametrize("size", [16, 48, 200])
def test_cutting_is_pillows_crop_and_resize(interpolation: str, size: int) -> None:
    how, image = Preprocessing(size=size, interpolation=interpolation), noise(90, 70)
    cropped = image.crop((10, 20, 80, 69)).resize((size, size), Image.Resampling[interpolation.upper()])
    wanted = v2.functional.pil_to_tensor(cropped)
    part = (10 / 90, 20 / 70, 80 / 90, 69 / 70)
    assert close(cut(how, image, View(part, (0, 0, size, size))), wanted)
    mirrored = cut(how, image, View(part, (0, 0, size, size), flip=True))
    assert torch.equal(mirrored, cut(how, image, View(part, (0, 0, size, size))).flip(-1))


def test_cutting_from_three_bytes_a_pixel_is_cutting_from_four() -> None:
    how, image = Preprocessing(size=20), noise(50, 40)
    three, four = torch.from_numpy(np.array(image)), as_bytes(image)
    assert three.shape[2] == 3 and four.shape[2] == 4
    for seed in range(5):
        view, outs = how.part(50, 40, random.Random(seed)), torch.empty(2, 3, 20, 20, dtype=torch.uint8)
        how.cut(three, view, outs[0])
        how.cut(four, view, outs[1])
        assert torch.equal(outs[0], outs[1])


def test_a_padded_part_lies_on_the_mean_and_is_mirrored_with_its_place() -> None:
    how, image = Preprocessing(size=40, resize="pad", mean=IMAGENET[0], std=IMAGENET[1]), noise(30, 60)
    view = View((0.0, 0.0, 1.0, 1.0), (4, 0, 24, 40))
    square = v2.functional.pil_to_tensor(image.resize((20, 40), Image.Resampling.BICUBIC))
    for flip, place, wanted in ((False, 4, square), (True, 16, square.flip(-1))):
        result = cut(how, image, replace(view, flip=flip))
        assert close(result[:, :, place : place + 20], wanted)
        ground = torch.cat([result[:, :, :place], result[:, :, place + 20 :]], dim=2)
        assert how.normalise(ground[None]).abs().max() < 0.01


def test_a_coloured_part_is_what_pillow_colours() -> None:
    how, image = Preprocessing(size=30), noise(30, 30)  # of its own size: nothing is resized
    view = View((0.0, 0.0, 1.0, 1.0), (0, 0, 30, 30), colour=(0.7, 1.2, 0.5), flip=True)
    assert torch.equal(cut(how, image, view), how.render(image, view))


def test_a_part_is_what_cutting_it_out_gives() -> None:
    how = Preprocessing(size=16, flip=0.0)
    image = noise(64, 64)
    view = View((0.25, 0.5, 0.75, 1.0), (0, 0, 16, 16))
    box = image.resize((16, 16), Image.Resampling.BICUBIC, box=(16, 32, 48, 64))
    assert torch.equal(how.render(image, view), v2.functional.pil_to_tensor(box))
    mirrored = View(view.part, view.place, flip=True)
    assert torch.equal(how.render(image, mirrored), v2.functional.pil_to_tensor(box).flip(-1))


def test_no_randomness_left_is_the_evaluation_view() -> None:
    how = Preprocessing(size=32, crop=(1.0, 1.0), aspect=(1.0, 1.0), flip=0.0)
    image = noise(70, 50)
    assert close(how.augment(image, random.Random(0)), how.evaluate(image))


def test_at_least_is_enough_for_the_smallest_part() -> None:
    how = Preprocessing(size=32, crop=(0.2, 1.0), aspect=(0.5, 2.0), resize="crop")
    side = how.at_least
    assert side == math.ceil(32 / math.sqrt(0.2 * 0.5))
    rng = random.Random(0)
    views = [how.part(side, side, rng) for _ in range(3000)]
    least = min(min(v.part[2] - v.part[0], v.part[3] - v.part[1]) * side for v in views)
    assert 32 - 1e-6 <= least < 34


def test_jitter_changes_brightness_contrast_and_saturation() -> None:
    image = noise(32, 32)
    plain = Preprocessing(size=32, flip=0.0, crop=(1.0, 1.0), aspect=(1.0, 1.0))
    base = plain.evaluate(image).float()
    dark = plain.render(image, View((0.0, 0.0, 1.0, 1.0), (0, 0, 32, 32), colour=(0.5, 1.0, 1.0))).float()
    torch.testing.assert_close(dark, base * 0.5, atol=1.0, rtol=0)
    flat = plain.render(image, View((0.0, 0.0, 1.0, 1.0), (0, 0, 32, 32), colour=(1.0, 0.0, 1.0))).float()
    assert flat.std() == 0
    grey = plain.render(image, View((0.0, 0.0, 1.0, 1.0), (0, 0, 32, 32), colour=(1.0, 1.0, 0.0)))
    assert torch.equal(grey[0], grey[1]) and torch.equal(grey[0], grey[2])
    factors = [Preprocessing(jitter=(0.3, 0.0, 0.1)).part(9, 9, random.Random(s)).colour for s in range(300)]
    for k, strength in enumerate((0.3, 0.0, 0.1)):
        seen = [f[k] for f in factors]
        assert 1 - strength <= min(seen) <= 1 - 0.9 * strength and 1 + 0.9 * strength <= max(seen) <= 1 + strength


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
@pytest.mark.parametrize("size", [(200, 120), (120, 200)])
def test_boxes_follow_the_pixels(resize: str, size: tuple[int, int]) -> None:
    how = Preprocessing(size=100, resize=resize, mean=(0.0, 0.0, 0.0), crop=(0.6, 1.0))
    box = (0.4, 0.45, 0.65, 0.7)
    image = marked(*size, box)
    rng = random.Random(0)
    for view in [how.whole(*size), *(how.part(*size, rng) for _ in range(40))]:
        white = (how.render if view == how.whole(*size) else partial(cut, how))(image, view)[0] > 127
        there = torch.nonzero(white)
        found = view.box(box, 100)
        assert found is not None
        top, left = there.amin(0).tolist()
        bottom, right = (there.amax(0) + 1).tolist()
        assert np.abs(np.array(found) * 100 - (left, top, right, bottom)).max() <= 1.01


def test_boxes_cropped_away_are_dropped_and_cut_ones_clipped() -> None:
    view = View((0.5, 0.0, 1.0, 1.0), (0, 0, 10, 10))
    assert view.box((0.0, 0.0, 0.4, 1.0), 10) is None
    assert view.box((0.0, 0.0, 0.6, 1.0), 10) is None  # a sixth of it is left
    assert view.box((0.4, 0.2, 0.6, 0.4), 10) == pytest.approx((0.0, 0.2, 0.2, 0.4))
    assert View(view.part, view.place, flip=True).box((0.4, 0.2, 0.6, 0.4), 10) == pytest.approx((0.8, 0.2, 1.0, 0.4))


def test_json_round_trip() -> None:
    how = Preprocessing(size=112, mean=HALF[0], std=HALF[1], interpolation="bilinear", resize="pad", crop=(0.2, 0.9))
    assert Preprocessing.from_json(json.loads(json.dumps(how.to_json()))) == how
    assert Preprocessing.from_json({"size": 64}) == Preprocessing(size=64)
    with pytest.raises(DataError, match="unknown sise; there are size, mean"):
        Preprocessing.from_json({"sise": 64})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size must be at least 1"),
        ({"resize": "stretch"}, "resize must be one of squash, crop, crop_floor, pad, not 'stretch'"),
        ({"interpolation": "cubic"}, "interpolation must be one of nearest, bilinear, bicubic, lanczos"),
        ({"scaled": 200}, "scaled must be at least the size 224"),
        ({"scaled": 300, "resize": "pad"}, "no size of pad"),
        ({"std": (1.0, 0.0, 1.0)}, "std must be above 0"),
        ({"crop": (0.0, 1.0)}, "crop must be"),
        ({"crop": (0.9, 0.5)}, "crop must be"),
        ({"aspect": (2.0, 1.0)}, "aspect must be"),
        ({"flip": 1.5}, "flip must be a probability"),
        ({"jitter": (0.0, 0.0, 2.0)}, "jitter must be"),
    ],
)
def test_values_out_of_range_are_refused(options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Preprocessing(**options)
