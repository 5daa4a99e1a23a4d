import io
import pickle
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dovetail.data.images import SMALLEST, ImageProblem, as_bytes, decode


def picture(width: int = 40, height: int = 24) -> Image.Image:
    """A smooth picture, red growing to the right, green downwards, a blue patch top left."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    pixels = np.stack([x, y, np.full_like(x, 60)], axis=-1).astype(np.uint8)
    pixels[: height // 3, : width // 3, 2] = 250
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def difference(a: Image.Image, b: Image.Image) -> float:
    assert a.mode == b.mode == "RGB" and a.size == b.size
    return float(np.abs(np.asarray(a, np.int16) - np.asarray(b, np.int16)).max())


def cause(image: object, **options: int) -> str:
    with pytest.raises(ImageProblem) as problem:
        decode(image, **options)
    return problem.value.cause


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG"])
def test_decodes_the_usual_formats(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.bin"
    picture().save(path, kind, **({"lossless": True} if kind == "WEBP" else {}))
    for given in (path, str(path), path.read_bytes()):
        result = decode(given)
        assert (result.mode, result.size) == ("RGB", (40, 24))
        off = np.abs(np.asarray(result, int) - np.asarray(picture(), int))
        assert off.mean() < 6 if kind in ("JPEG", "GIF") else off.max() == 0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_rotation_is_undone(tmp_path: Path, orientation: int, kind: str) -> None:
    pixels = np.asarray(picture())
    stored = {  # how a camera stores an upright picture under each orientation, written as array operations
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels, 1),
        7: pixels.transpose(1, 0, 2)[::-1, ::-1],
        8: np.rot90(pixels, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a", kind, exif=exif, quality=95)
    result = np.asarray(decode(tmp_path / "a"), np.int16)
    assert result.shape == pixels.shape
    assert np.abs(result - pixels).mean() < 6


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_broken_exif_block_does_not_lose_the_picture() -> None:
    data = encoded(picture(), "JPEG", exif=b"Exif\0\0II*\0" + struct.pack("<I", 8) + b"\xff\xff" + b"\x12\x01" * 9)
    assert decode(data).size == (40, 24)


def test_cmyk() -> None:
    cmyk = picture().convert("CMYK")
    assert difference(decode(encoded(cmyk, "TIFF")), cmyk.convert("RGB")) == 0
    jpeg = encoded(cmyk, "JPEG", quality=100)  # PIL writes CMYK inverted, with Adobe's marker, as Photoshop does
    assert b"Adobe" in jpeg
    assert difference(decode(jpeg), picture()) < 60
    assert np.abs(np.asarray(decode(jpeg), float) - np.asarray(picture(), float)).mean() < 4


def test_transparency_is_laid_on_white() -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, :, 0] = 200
    pixels[:, 4:, 3] = 255
    pixels[0, 0, 3] = 128
    result = np.asarray(decode(encoded(Image.fromarray(pixels), "PNG")))
    assert (result[1:, :4] == 255).all()
    assert (result[:, 4:] == (200, 0, 0)).all()
    np.testing.assert_allclose(result[0, 0], [200 * 128 / 255 + 127, 127, 127], atol=1)
    np.testing.assert_array_equal(np.asarray(decode(pixels)), result)
    grey = encoded(Image.fromarray(pixels).convert("LA"), "PNG")
    assert (np.asarray(decode(grey))[1:, :4] == 255).all()


def test_palette_with_and_without_transparency() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(1, (4, 0, 8, 8))
    plain = np.asarray(decode(encoded(image, "PNG")))
    assert (plain[:, :4] == (10, 20, 30)).all() and (plain[:, 4:] == (200, 100, 50)).all()
    for transparency in (0, b"\x00\xff"):
        cleared = np.asarray(decode(encoded(image, "PNG", transparency=transparency)))
        assert (cleared[:, :4] == 255).all() and (cleared[:, 4:] == (200, 100, 50)).all()
    keyed = encoded(Image.new("RGB", (8, 8), (1, 2, 3)), "PNG", transparency=(1, 2, 3))
    assert (np.asarray(decode(keyed)) == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(kind: str) -> None:
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    wanted = np.round(values / 65535 * 255)
    for given in (encoded(Image.fromarray(values), kind), values, Image.fromarray(values.astype(np.int32))):
        result = np.asarray(decode(given))
        np.testing.assert_array_equal(result[:, :, 0], wanted)
        assert (result[:, :, 0] == result[:, :, 1]).all() and (result[:, :, 0] == result[:, :, 2]).all()


def test_32_bit_grey_keeps_its_order() -> None:
    values = np.linspace(0, 2**31 - 1, 64).astype(np.int32).reshape(8, 8)
    np.testing.assert_allclose(np.asarray(decode(Image.fromarray(values)))[:, :, 0], values / 2**31 * 255, atol=0.51)


def test_one_bit() -> None:
    bits = np.indices((8, 8)).sum(0) % 2 == 0
    for given in (encoded(Image.fromarray(bits), "PNG"), bits):
        np.testing.assert_array_equal(np.asarray(decode(given)), np.repeat(bits[:, :, None] * 255, 3, axis=2))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animation_gives_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), c) for c in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
    assert np.abs(np.asarray(decode(data), int) - (255, 0, 0)).max() <= 3


def test_arrays_and_tensors() -> None:
    pixels = np.asarray(picture())
    floats = pixels.astype(np.float64) / 255
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    for given in (pixels, floats, floats.astype(np.float16), tensor, tensor / 255, picture()):
        assert difference(decode(given), picture()) <= (0 if getattr(given, "dtype", None) != np.float16 else 1)
    assert difference(decode((tensor / 255).bfloat16()), picture()) <= 1
    grey = pixels[:, :, 0]
    for given in (grey, grey[:, :, None], torch.from_numpy(grey.copy()), torch.from_numpy(grey.copy())[None]):
        np.testing.assert_array_equal(np.asarray(decode(given))[:, :, 2], grey)


@pytest.mark.parametrize("high", [255.0, float("nan"), -1.0])
def test_floats_outside_0_to_1_are_refused(high: float) -> None:
    array = np.full((8, 8, 3), 0.5)
    array[0, 0, 0] = high
    with pytest.raises(ImageProblem, match=r"expected 0\.\.1"):
        decode(array)


def test_other_shapes_and_types_are_refused() -> None:
    assert cause(np.zeros((3, 40, 24), np.uint8)) == "not an image"  # an array is (h w 3)
    assert cause(np.zeros((2, 8, 8, 3), np.uint8)) == "not an image"
    assert cause(np.zeros((8, 8, 3), np.int64)) == "not an image"
    assert cause(np.zeros((0, 8, 3), np.uint8)) == "image too small"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6])
def test_truncated(tmp_path: Path, kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    path = tmp_path / "half.img"
    path.write_bytes(data[: max(16, int(len(data) * share))])
    with pytest.raises(ImageProblem, match=r"half\.img: truncated image") as problem:
        decode(path)
    assert problem.value.cause == "truncated image"


def test_not_an_image(tmp_path: Path) -> None:
    (tmp_path / "page.jpg").write_text("<html><body>404 not found</body></html>")
    (tmp_path / "empty.jpg").write_bytes(b"")
    assert cause(tmp_path / "page.jpg") == "not an image"
    with pytest.raises(ImageProblem, match=r"empty\.jpg: not an image: the file is empty"):
        decode(tmp_path / "empty.jpg")


def test_missing_and_unreadable(tmp_path: Path) -> None:
    with pytest.raises(ImageProblem, match=r"nowhere\.jpg: missing image"):
        decode(tmp_path / "nowhere.jpg")
    assert cause(tmp_path) == "unreadable image"


@pytest.mark.parametrize("size", [(1, 1), (3, 300), (300, 3)])
def test_too_small(size: tuple[int, int]) -> None:
    assert cause(encoded(Image.new("RGB", size), "PNG")) == "image too small"
    assert cause(encoded(Image.new("RGB", size), "JPEG"), at_least=8) == "image too small"
    assert cause(np.zeros((*size, 3), np.uint8)) == "image too small"
    assert decode(Image.new("RGB", (SMALLEST, SMALLEST))).size == (SMALLEST, SMALLEST)


def test_a_300_megapixel_jpeg_is_read_at_an_eighth() -> None:
    data = encoded(Image.new("L", (20000, 15000), 200), "JPEG")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = decode(data)
    assert image.size == (2500, 1875)
    assert np.abs(np.asarray(image, int) - 200).max() <= 3


def test_a_300_megapixel_file_of_another_kind_is_refused_with_its_size() -> None:
    data = encoded(Image.new("1", (20000, 15000)), "PNG")
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageProblem, match=r"20000 x 15000 = 300 megapixels, at most 200") as problem:
            decode(data)
    assert problem.value.cause == "image too large"
    assert before == Image.MAX_IMAGE_PIXELS


def test_large_ones_within_the_limit_do_not_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # PIL warns above this and raises above twice this
    for kind in ("JPEG", "PNG", "TIFF", "GIF", "WEBP"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert decode(encoded(picture(), kind)).size == (40, 24)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_the_limit_can_be_set() -> None:
    assert cause(encoded(picture(), "PNG"), largest=100) == "image too large"
    assert cause(encoded(picture(), "JPEG", progressive=True), largest=100) == "image too large"
    assert decode(encoded(picture(400, 240), "JPEG"), largest=50_000).size == (50, 30)
    assert decode(encoded(picture(400, 240), "JPEG"), at_least=200, largest=50_000).size == (50, 30)


@pytest.mark.parametrize(("at_least", "size"), [(240, (400, 240)), (120, (200, 120)), (30, (50, 30)), (1, (50, 30))])
def test_reduced_decode_keeps_enough_pixels(at_least: int, size: tuple[int, int]) -> None:
    image = decode(encoded(picture(400, 240), "JPEG"), at_least=at_least)
    assert image.size == size
    assert np.abs(np.asarray(image, int) - np.asarray(picture(400, 240).resize(size), int)).mean() < 4


def test_problems_travel_between_processes() -> None:
    problem = pickle.loads(pickle.dumps(ImageProblem("image too small", "1 x 1 pixels", "a.png")))
    assert (problem.cause, str(problem)) == ("image too small", "a.png: image too small: 1 x 1 pixels")


@pytest.mark.parametrize("size", [(5, 4), (333, 211), (2600, 1900)])  # the last lies in several of Pillow's blocks
def test_the_bytes_of_a_picture_are_its_pixels(size: tuple[int, int]) -> None:
    image = picture(*size)
    wanted = np.array(image)
    held = as_bytes(image)
    assert held.shape == (size[1], size[0], 3 if size[0] > 2000 else 4)
    del image  # the bytes keep what they lie in
    assert np.array_equal(held[..., :3].numpy(), wanted)
