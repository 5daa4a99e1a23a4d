"""Any picture in, an upright RGB picture out, or a clear refusal that says why."""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, BytesIO
from pathlib import Path

import numpy as np
import pyarrow
import torch
from jaxtyping import UInt8
from PIL import Image, JpegImagePlugin
from torch import Tensor

from dovetail.data.records import DataError, ImageLike

SMALLEST = 4
"""Pictures with a shorter side than this many pixels are refused: they are place-holders, not pictures."""

LARGEST = 200_000_000
"""Pixels decoded at most. A larger baseline JPEG is decoded at an eighth of its size, any other larger file refused."""

_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"BM")
_TURNS = {  # the EXIF orientation -> what sets the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112

warnings.filterwarnings("ignore", "Corrupt EXIF data", UserWarning)  # such a picture is used all the same

_lock = threading.Lock()
if hasattr(os, "register_at_fork"):  # a loader worker forked while another thread held the lock would wait for ever
    os.register_at_fork(before=_lock.acquire, after_in_child=_lock.release, after_in_parent=_lock.release)


class ImageProblem(DataError):
    """A picture that cannot be used.

    `cause` is a short phrase to count by: `missing image`, `unreadable image`, `not an image`, `truncated image`,
    `image too large` or `image too small`.
    """

    def __init__(self, cause: str, detail: str, name: str = "image") -> None:
        super().__init__(cause, detail, name)
        self.cause, self.detail, self.name = cause, detail, name

    def __str__(self) -> str:
        return f"{self.name}: {self.cause}: {self.detail}"


def decode(image: ImageLike | str | Tensor, at_least: int | None = None, largest: int = LARGEST) -> Image.Image:
    """The picture as 8-bit RGB, upright.

    Transparency is laid on white; 16-bit greys are scaled to 8 bits; of an animation the first frame counts. A tensor
    is (3 h w), (1 h w) or (h w), an array (h w), (h w 1), (h w 3) or (h w 4), of uint8, uint16, bool or floats in 0..1.

    at_least: lets a JPEG decode itself at a half, a quarter or an eighth of its size as long as both sides keep this
    many pixels. That is several times faster on large photos, and its pixels differ slightly from a full decode that is
    shrunk afterwards: for augmentation in training only, never for evaluation.
    largest: pixels decoded at most, see LARGEST.

    Raises ImageProblem.
    """
    name = str(image) if isinstance(image, str | Path) else "image"
    try:
        if isinstance(image, np.ndarray | Tensor):
            return _from_array(image)
        if isinstance(image, Image.Image):
            return _finish(image, largest)
        with BytesIO(image) if isinstance(image, bytes) else open(image, "rb") as file:
            return _from_file(file, at_least, largest)
    except ImageProblem as problem:
        raise ImageProblem(problem.cause, problem.detail, name) from problem.__cause__
    except FileNotFoundError as error:
        raise ImageProblem("missing image", "there is no such file; check the path and the folder", name) from error
    except OSError as error:
        raise ImageProblem("unreadable image", str(error), name) from error


def as_bytes(image: Image.Image) -> UInt8[Tensor, "height width c"]:
    """The bytes of an RGB picture, three or four a pixel, of which the first three count. Not to be written to.

    They stay where they lie in Pillow's memory, which holds four a pixel; those of a picture that lies there in several
    blocks (above 16 MB) are copied.
    """
    try:
        held = torch.from_dlpack(pyarrow.array(image).values)
    except (ValueError, pyarrow.ArrowInvalid):
        return torch.from_numpy(np.array(image))
    return held.view(image.height, image.width, 4)


def _from_file(file: BufferedReader | BytesIO, at_least: int | None, largest: int) -> Image.Image:
    start = file.read(16)
    file.seek(0)
    try:
        image = _open(file, start)
    except Exception as error:  # PIL's readers raise anything on a broken file
        if start.startswith(_MAGIC):
            raise ImageProblem("truncated image", f"its header is cut short or damaged ({error})") from error
        detail = "the file is empty" if not start else f"no known image format; it begins with {start!r}"
        raise ImageProblem("not an image", detail) from error
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        _reduce(image, at_least, largest)
    return _finish(image, largest)


def _open(file: BufferedReader | BytesIO, start: bytes) -> Image.Image:
    """PIL's lazy picture of the file. A JPEG is opened directly, for PIL's bomb check comes before a reduced decode."""
    if start.startswith(b"\xff\xd8\xff"):
        return JpegImagePlugin.JpegImageFile(file)
    with _no_bomb_check():
        return Image.open(file)


@contextmanager
def _no_bomb_check() -> Iterator[None]:
    """Silences PIL's own limit, a global that warns or raises without naming the file; `largest` takes its place."""
    with _lock:
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _reduce(image: JpegImagePlugin.JpegImageFile, at_least: int | None, largest: int) -> None:
    """Asks the JPEG decoder for fewer pixels, where that is wanted or needed."""
    _refuse_small(image)
    width, height = image.size
    if width * height > largest and not image.info.get("progressive"):  # a progressive one needs all of it in memory
        image.draft(None, (width // 8, height // 8))
    elif at_least is not None and width * height <= largest:
        image.draft(None, (at_least, at_least))


def _finish(image: Image.Image, largest: int) -> Image.Image:
    """Loads, converts to RGB and sets upright."""
    _refuse_small(image)
    pixels = image.width * image.height
    if pixels > largest:
        detail = f"{image.width} x {image.height} = {pixels / 1e6:.0f} megapixels, at most {largest / 1e6:.0f} are read"
        raise ImageProblem("image too large", f"{detail}; shrink it or save it as a baseline JPEG")
    try:
        if pixels > (Image.MAX_IMAGE_PIXELS or pixels):
            with _no_bomb_check():  # some readers ask again
                image.load()
        else:
            image.load()
    except Exception as error:  # PIL's readers raise anything on a broken file
        raise ImageProblem("truncated image", f"its data ends early or is damaged ({error})") from error
    return _upright(image, _to_rgb(image))


def _refuse_small(image: Image.Image) -> None:
    if min(image.size) < SMALLEST:
        detail = f"{image.width} x {image.height} pixels, the shorter side must have at least {SMALLEST}"
        raise ImageProblem("image too small", detail)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_eight_bit(_deep(np.asarray(image)))).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGB", image.size, (255, 255, 255))
        white.paste(layer, mask=layer.getchannel("A"))
        return white
    try:
        return image.convert("RGB")
    except ValueError as error:
        raise ImageProblem("unreadable image", f"colour mode {image.mode} cannot be converted to RGB") from error


def _upright(image: Image.Image, rgb: Image.Image) -> Image.Image:
    """`rgb` turned as the EXIF of `image` says."""
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a damaged EXIF block is no reason to lose the picture
        return rgb
    return rgb if turn is None else rgb.transpose(turn)


def _from_array(array: np.ndarray | Tensor) -> Image.Image:
    if isinstance(array, Tensor):
        held = array.detach().cpu()
        held = held.float() if held.is_floating_point() else held
        array = (held.movedim(0, -1) if held.ndim == 3 else held).numpy()
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in (3, 4)):
        detail = f"expected shape (h w), (h w 3) or (h w 4), a tensor (3 h w); this one is {tuple(array.shape)}"
        raise ImageProblem("not an image", detail)
    if 0 in array.shape:
        raise ImageProblem("image too small", f"its shape is {tuple(array.shape)}")
    return _finish(Image.fromarray(np.ascontiguousarray(_eight_bit(array))), array.size)


def _deep(grey: np.ndarray) -> np.ndarray:
    """PIL's 16-bit, 32-bit or float grey as uint16 or float."""
    if grey.dtype.kind == "f" or grey.dtype.itemsize == 2:
        return grey
    grey = grey.clip(min=0)  # mode I is int32, but what it holds is nearly always 16 bits
    return (grey if grey.max() < 1 << 16 else grey >> 15).astype(np.uint16)


def _eight_bit(array: np.ndarray) -> np.ndarray:
    """Values over their type's whole range to 0..255, rounded."""
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype.kind != "f":
        raise ImageProblem("not an image", f"values are {array.dtype}; expected uint8, uint16, bool or floats in 0..1")
    low, high = float(array.min()), float(array.max())
    if not (low >= -1e-3 and high <= 1 + 1e-3):  # written so that NaN is refused too
        raise ImageProblem("not an image", f"its floats reach from {low:g} to {high:g}; expected 0..1")
    return (array.clip(0, 1).astype(np.float32) * 255).round().astype(np.uint8)
