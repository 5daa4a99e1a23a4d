"""What an image cell says: a file, encoded bytes, or a picture; and what makes two of them the same."""

import math
import os
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dovetail.data.records import ImageLike

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"))
"""The file names that are taken for pictures."""


class UnusableImage(Exception):
    """An image cell that cannot be used; `args[0]` is the short cause."""


def locate(cell: Any, folder: Path) -> ImageLike:
    """The image that a cell refers to or holds; relative paths start at `folder`.

    A cell is a path, encoded bytes, a mapping with `bytes` and `path` (as Hugging Face datasets store a picture), a PIL
    image or an array. Raises UnusableImage with the cause.
    """
    for kind, read in _KINDS:
        if isinstance(cell, kind):
            return read(cell, folder)
    absent = cell is None or (isinstance(cell, float) and math.isnan(cell))
    raise UnusableImage("no image" if absent else "image value is not a picture")


def shown(cell: Any) -> str:
    """How the image is called where it was written; empty for a picture without a name."""
    named = cell.get("path") if isinstance(cell, Mapping) else getattr(cell, "filename", cell)
    return str(named) if isinstance(named, str | os.PathLike) else ""


def _file(cell: str | os.PathLike[str], folder: Path) -> Path:
    written = os.fspath(cell).strip()
    if not written:
        raise UnusableImage("no image")
    if written.startswith(("http://", "https://")):
        raise UnusableImage("image is a URL, which is not downloaded")
    path = os.path.join(folder, written)
    if not os.path.isfile(path):
        raise UnusableImage("missing image file")
    return Path(path)


def _bytes(cell: bytes | bytearray, folder: Path) -> bytes:
    if not cell:
        raise UnusableImage("no image")
    return bytes(cell)


def _stored(cell: Mapping[str, Any], folder: Path) -> ImageLike:
    return locate(cell.get("bytes") or cell.get("path"), folder)


def _picture(cell: Image.Image, folder: Path) -> ImageLike:
    """An opened but perhaps unread file stays a file, so that a long list of them does not fill the memory."""
    name = getattr(cell, "filename", "")
    return Path(os.path.abspath(name)) if name and os.path.isfile(name) else cell


_KINDS: tuple[tuple[Any, Callable[[Any, Path], ImageLike]], ...] = (
    ((str, os.PathLike), _file),
    ((bytes, bytearray), _bytes),
    (Mapping, _stored),
    (Image.Image, _picture),
    (np.ndarray, lambda cell, folder: cell),
)


def identity(image: ImageLike) -> int:
    """A number of 63 bits that is equal for equal images: of the path for a file, otherwise of the content."""
    if isinstance(image, Path):
        return number(os.path.abspath(image))
    if isinstance(image, Image.Image):
        return number(image.mode, str(image.size), image.tobytes())
    if isinstance(image, np.ndarray):
        return number(str(image.shape), str(image.dtype), image.tobytes())
    return number(image)


def number(*parts: str | bytes) -> int:
    """A stable hash of the parts, 0 <= hash < 2^63."""
    digest = blake2b(digest_size=8)
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return int.from_bytes(digest.digest(), "little") >> 1
