"""How a picture becomes the square of pixels that a model reads; saved with the model."""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageEnhance
from torch import Tensor
from torch.nn import functional as F

from dovetail.data.images import as_bytes
from dovetail.data.records import DataError

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

Triple = tuple[float, float, float]

OPENAI: tuple[Triple, Triple] = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Mean and standard deviation of CLIP's training images (RGB, 0..1)."""
IMAGENET: tuple[Triple, Triple] = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet."""
HALF: tuple[Triple, Triple] = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
"""Maps 0..1 to -1..1, as SigLIP does."""

VISIBLE = 0.25
"""A region of which less than this share of its area is left after cropping is dropped."""

_HOW = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_CUT = {"nearest": "bilinear", "lanczos": "bicubic"}  # by what torch has for those that it lacks


@dataclass(frozen=True)
class View:
    """Which part of a picture fills which part of the square, and how it is changed on the way."""

    part: Box  # of the picture, as fractions of its width and height
    place: tuple[int, int, int, int]  # of the square, in pixels; what lies beyond the square is cut off
    flip: bool = False
    colour: Triple = (1.0, 1.0, 1.0)  # factors of brightness, contrast and saturation

    def box(self, box: Box, size: int) -> Box | None:
        """Where a box of the picture lies in the square (both as fractions), clipped; None if too little is left."""
        left, right = (self._along(x, 0) / size for x in (box[0], box[2]))
        top, bottom = (self._along(y, 1) / size for y in (box[1], box[3]))
        if self.flip:
            left, right = 1 - right, 1 - left
        edge = [min(max(p / size, 0.0), 1.0) for p in self.place]
        if self.flip:
            edge[0], edge[2] = 1 - edge[2], 1 - edge[0]
        seen = (max(left, edge[0]), max(top, edge[1]), min(right, edge[2]), min(bottom, edge[3]))
        width, height = seen[2] - seen[0], seen[3] - seen[1]
        if width <= 0 or height <= 0 or width * height < VISIBLE * (right - left) * (bottom - top):
            return None
        return seen

    def _along(self, x: float, axis: int) -> float:
        start, end = self.part[axis], self.part[axis + 2]
        first, last = self.place[axis], self.place[axis + 2]
        return first + (x - start) / (end - start) * (last - first)


@dataclass(frozen=True)
class Preprocessing:
    """The pixels a model expects. Squares of `size` pixels; bytes until `normalise`.

    resize, for evaluation: `squash` shows all and ignores the aspect ratio, `crop` the central square, `pad` all
    in its own aspect ratio on a ground of the mean colour or of `ground` (bytes). `crop_floor` is `crop`, but rounds
    the middle of an odd number of pixels down, as transformers does, instead of to the even one, as torchvision.
    interpolation: `bilinear`, `bicubic` or `lanczos`, antialiased, or `nearest`. scaled, for squash and crop: a square
    of which the central `size` pixels are shown; None: of `size` pixels.

    For training, a random part: `crop` is the least and greatest share of the picture's area, `aspect` the least and
    greatest factor on its aspect ratio (the random-resized crop of Szegedy et al., "Going Deeper with Convolutions",
    2015; of the picture's own aspect ratio for `squash` and `pad`, of a square for `crop`). `flip` is the probability
    of a mirror image: set it to 0 where captions tell left from right, or for text and medical images. `jitter` holds
    strengths for brightness, contrast and saturation: 0.2 draws a factor from 0.8..1.2, 0 leaves it alone.

    Raises DataError for a value out of range.
    """

    size: int = 224
    mean: Triple = OPENAI[0]
    std: Triple = OPENAI[1]
    interpolation: str = "bicubic"
    resize: str = "squash"
    scaled: int | None = None
    ground: tuple[int, int, int] | None = None
    crop: tuple[float, float] = (0.5, 1.0)
    aspect: tuple[float, float] = (0.75, 4 / 3)
    flip: float = 0.5
    jitter: Triple = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        for holds, wanted in (
            (self.size >= 1, f"size must be at least 1, not {self.size}"),
            (self.resize in _FITS, f"resize must be one of {', '.join(_FITS)}, not {self.resize!r}"),
            (self.interpolation in _HOW, f"interpolation must be one of {', '.join(_HOW)}, not {self.interpolation!r}"),
            (
                self.scaled is None or (self.scaled >= self.size and self.resize != "pad"),
                f"scaled must be at least the size {self.size}, and no size of pad, not {self.scaled}",
            ),
            (min(self.std) > 0, f"std must be above 0, not {self.std}"),
            (0 < self.crop[0] <= self.crop[1] <= 1, f"crop must be 0 < least <= greatest <= 1, not {self.crop}"),
            (0 < self.aspect[0] <= self.aspect[1], f"aspect must be 0 < least <= greatest, not {self.aspect}"),
            (0 <= self.flip <= 1, f"flip must be a probability, not {self.flip}"),
            (all(0 <= s <= 1 for s in self.jitter), f"jitter must be strengths in 0..1, not {self.jitter}"),
        ):
            if not holds:
                raise DataError(f"preprocessing: {wanted}")

    @property
    def at_least(self) -> int:
        """Pixels a side that a picture needs lest a random part be enlarged, for `images.decode(at_least=...)`."""
        narrowest = self.crop[0] * min(self.aspect[0], 1 / self.aspect[1])
        return math.ceil(self.size / math.sqrt(narrowest))

    def whole(self, width: int, height: int) -> View:
        """The view for evaluation of a picture of this many pixels."""
        return _FITS[self.resize].whole(width, height, self.size, self.scaled or self.size)

    def part(self, width: int, height: int, rng: random.Random) -> View:
        """A random view for training, of whole pixels. Draws the same number of random numbers whatever the picture."""
        fit = _FITS[self.resize]
        area = width * height * rng.uniform(*self.crop)
        ratio = fit.aspect(width, height) * math.exp(rng.uniform(*map(math.log, self.aspect)))
        w = min(width, max(1, round(math.sqrt(area * ratio))))
        h = min(height, max(1, round(math.sqrt(area / ratio))))
        left, top = round(rng.random() * (width - w)), round(rng.random() * (height - h))
        box = (left / width, top / height, (left + w) / width, (top + h) / height)
        flip = rng.random() < self.flip
        brightness, contrast, saturation = (rng.uniform(1 - s, 1 + s) for s in self.jitter)
        return View(box, fit.place(w, h, self.size), flip, (brightness, contrast, saturation))

    def render(self, image: Image.Image, view: View) -> UInt8[Tensor, "3 h w"]:
        """The square of an RGB picture that a view describes, as Pillow computes it: for evaluation."""
        left, top, right, bottom = view.place
        x, y, x_end, y_end = (f * s for f, s in zip(view.part, image.size * 2, strict=True))
        square = image.resize((right - left, bottom - top), _HOW[self.interpolation], (x, y, x_end, y_end))
        if view.colour != (1.0, 1.0, 1.0):
            square = _coloured(square, view.colour)
        if view.place != (0, 0, self.size, self.size):
            ground = Image.new("RGB", (self.size, self.size), self._ground)
            ground.paste(square, (left, top))
            square = ground
        if view.flip:
            square = square.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return torch.from_numpy(np.asarray(square).transpose(2, 0, 1).copy())

    def cut(self, pixels: UInt8[Tensor, "height width c"], view: View, out: UInt8[Tensor, "3 s s"]) -> None:
        """Writes the square of a picture's bytes (see `images.as_bytes`) that a view of whole pixels describes: for
        training, several times faster than `render`.

        The resize is the same but for rounding (a grey level, rarely two), and sees nothing beyond the part's edges.
        """
        height, width = pixels.shape[:2]
        x, y, x_end, y_end = (round(f * s) for f, s in zip(view.part, (width, height) * 2, strict=True))
        left, top, right, bottom = view.place
        part = pixels[y:y_end, x:x_end].permute(2, 0, 1)[None]
        how = _CUT.get(self.interpolation, self.interpolation)
        scaled = F.interpolate(part, (bottom - top, right - left), mode=how, antialias=True)
        square = scaled[0].permute(1, 2, 0).numpy()[..., :3]
        if view.colour != (1.0, 1.0, 1.0):
            square = np.asarray(_coloured(Image.fromarray(np.ascontiguousarray(square)), view.colour))
        if view.flip:
            square, left, right = square[:, ::-1], self.size - right, self.size - left
        if square.shape[:2] != (self.size, self.size):
            out[:] = torch.tensor(self._ground, dtype=torch.uint8).view(3, 1, 1)
        np.copyto(out[:, top:bottom, left:right].numpy(), square.transpose(2, 0, 1))

    @property
    def _ground(self) -> tuple[int, int, int]:
        red, green, blue = self.mean
        return self.ground or (round(255 * red), round(255 * green), round(255 * blue))

    def evaluate(self, image: Image.Image) -> UInt8[Tensor, "3 h w"]:
        """The square for evaluation; `image` is RGB, as `images.decode` returns it."""
        return self.render(image, self.whole(*image.size))

    def augment(self, image: Image.Image, rng: random.Random) -> UInt8[Tensor, "3 h w"]:
        """A random square for training; `image` is RGB, as `images.decode` returns it."""
        out = torch.empty(3, self.size, self.size, dtype=torch.uint8)
        self.cut(as_bytes(image), self.part(*image.size, rng), out)
        return out

    def normalise(
        self, images: UInt8[Tensor, "b 3 h w"], dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "b 3 h w"]:
        """Bytes to (x / 255 - mean) / std, computed in float32 on the images' device."""
        mean, std = (torch.tensor(v, device=images.device).view(3, 1, 1) * 255 for v in (self.mean, self.std))
        return images.to(torch.float32).sub_(mean).div_(std).to(dtype)

    def to_json(self) -> dict[str, Any]:
        """The fields, as values for `json.dump`."""
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> "Preprocessing":
        """The counterpart of `to_json`; what is left out takes its default. Raises DataError for an unknown field."""
        known = [f.name for f in fields(Preprocessing)]
        if unknown := sorted(set(values) - set(known)):
            raise DataError(f"preprocessing: unknown {', '.join(unknown)}; there are {', '.join(known)}")
        held: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return Preprocessing(**held)


def _coloured(image: Image.Image, factors: Triple) -> Image.Image:
    kinds = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for enhance, factor in zip(kinds, factors, strict=True):
        image = enhance(image).enhance(factor)
    return image


@dataclass(frozen=True)
class _Fit:
    """One way to make a square."""

    whole: Callable[[int, int, int, int], View]  # width, height, size, scaled -> the view of the whole picture
    aspect: Callable[[int, int], float]  # width, height -> the aspect ratio of a random part
    place: Callable[[float, float, int], tuple[int, int, int, int]]  # width and height of a part, size -> View.place


def _squash(width: int, height: int, size: int, scaled: int) -> View:
    start = round((size - scaled) / 2)
    return View((0.0, 0.0, 1.0, 1.0), (start, start, start + scaled, start + scaled))


def _crop(width: int, height: int, size: int, scaled: int, middle: Callable[[float], int] = round) -> View:
    """Equal to torchvision's Resize(scaled) then CenterCrop(size), whose roundings it repeats; with `math.floor` as the
    middle, to transformers' resize and center_crop."""
    short = min(width, height)
    w, h = (scaled if side == short else int(scaled * side / short) for side in (width, height))
    x, y = middle((w - size) / 2), middle((h - size) / 2)
    if max(width, height) > 8 * short:  # all of it at this scale could be huge, and next to nothing of it is shown
        return View((x / w, y / h, (x + size) / w, (y + size) / h), _full(w, h, size))
    return View((0.0, 0.0, 1.0, 1.0), (-x, -y, w - x, h - y))


def _pad(width: int, height: int, size: int, scaled: int) -> View:
    return View((0.0, 0.0, 1.0, 1.0), _centred(float(width), float(height), size))


def _full(width: float, height: float, size: int) -> tuple[int, int, int, int]:
    return 0, 0, size, size


def _centred(width: float, height: float, size: int) -> tuple[int, int, int, int]:
    ratio = max(width, height) / size  # divided by, as timm and open_clip do, whose ties fall the same way then
    w, h = max(1, round(width / ratio)), max(1, round(height / ratio))
    left, top = (size - w) // 2, (size - h) // 2
    return left, top, left + w, top + h


_FITS = {
    "squash": _Fit(_squash, lambda w, h: w / h, _full),
    "crop": _Fit(_crop, lambda w, h: 1.0, _full),
    "crop_floor": _Fit(partial(_crop, middle=math.floor), lambda w, h: 1.0, _full),
    "pad": _Fit(_pad, lambda w, h: w / h, _centred),
}
