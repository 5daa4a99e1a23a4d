"""The flat style: a scene as an anti-aliased picture, with an instance mask and boxes from the same coverage.

Each thing is drawn on its own bounding box: the signed distance to its outline, in pixels, gives how much of a pixel it
covers. Colours are mixed in integers; a pixel is the same on every machine.
"""

from dataclasses import dataclass
from functools import cache
from math import ceil, cos, floor, radians, sin
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float32, Int32, UInt8

from dovetail.data.records import DataError
from dovetail.data.worlds.facts import UNIT, Scene, Thing
from dovetail.data.worlds.pictures import lettering, shapes, textures
from dovetail.data.worlds.pictures.shapes import Plane

RGB = {
    "red": (214, 39, 40),
    "orange": (250, 138, 28),
    "yellow": (246, 214, 38),
    "green": (42, 150, 62),
    "blue": (38, 92, 214),
    "purple": (130, 54, 176),
    "pink": (246, 138, 194),
    "brown": (126, 78, 46),
}
BACKGROUND_RGB = {"white": (250, 250, 250), "cream": (250, 236, 206), "grey": (206, 208, 212), "black": (30, 31, 36)}
INK_RGB = {"white": (40, 42, 48), "cream": (40, 42, 48), "grey": (40, 42, 48), "black": (236, 236, 230)}
SECOND_TONE = (255, 255, 250)
LEAST_SIZE = 16

_RIM = 0.1  # a texture stops short of the outline, which keeps the shape clear on every background

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Picture:
    """A rendered scene."""

    image: UInt8[np.ndarray, "h w 3"]
    mask: UInt8[np.ndarray, "h w"]  # 0 is the background, k + 1 the scene's thing k
    boxes: tuple[Box, ...]  # of each thing, hidden parts included: left, top, right, bottom as fractions
    depth: Float32[np.ndarray, "h w"] | None = None  # larger is further: the order of depth, or a distance if solid


class Style(Protocol):
    """A way to paint a scene at `size` x `size` pixels. Raises DataError when that is too small to show anything."""

    def __call__(self, scene: Scene, size: int) -> Picture: ...


@dataclass(frozen=True)
class Flat:
    """Plain colours, seen from the front."""

    def __call__(self, scene: Scene, size: int) -> Picture:
        """The scene's picture."""
        return render(scene, size)


def render(scene: Scene, size: int = 64) -> Picture:
    """The scene in the flat style. Raises DataError when the size is too small to show anything."""
    prints = footprints(scene, size)
    image = np.empty((size, size, 3), np.uint8)
    image[:] = BACKGROUND_RGB[scene.background]
    for found in prints:
        _paint(image[found.rows, found.cols], found.coverage, found.pattern, RGB[found.thing.colour])
    if scene.writing is not None:
        letters, strip = written(scene.writing, size)
        _blend(image[strip], np.array(INK_RGB[scene.background], np.int32), letters)
    return picture(image, scene, prints)


class Footprint(NamedTuple):
    """Where a thing lies on the pixels, in its window of h x w of them. Its own unit: its circle is the unit disc."""

    which: int  # of the scene's things
    thing: Thing
    rows: slice
    cols: slice
    pixel: float  # width of one, in the thing's own unit
    x: Plane  # pixel centres in the thing's own unit, turned with it
    y: Plane
    outline: Plane  # signed distance, in the thing's own unit
    coverage: Int32[np.ndarray, "h w"]  # 0..255: how much of the pixel the thing covers
    pattern: Int32[np.ndarray, "h w"]  # 0..255: how much of that has the texture's second tone


def footprints(scene: Scene, size: int) -> tuple[Footprint, ...]:
    """Of all things, the farthest first. Raises DataError when the size is too small to show anything."""
    if size < LEAST_SIZE:
        raise DataError(f"a picture of {size} pixels shows nothing; expected a size of at least {LEAST_SIZE}")
    order = sorted(range(len(scene.things)), key=lambda i: -scene.things[i].depth)
    return tuple(_footprint(index, scene.things[index], size) for index in order)


def picture(image: UInt8[np.ndarray, "h w 3"], scene: Scene, prints: tuple[Footprint, ...]) -> Picture:
    """The image with mask, boxes and depth of the footprints."""
    size = len(image)
    mask = np.zeros((size, size), np.uint8)
    boxes: list[Box] = [(0.0, 0.0, 0.0, 0.0)] * len(scene.things)
    for found in prints:
        held = found.coverage >= min(128, int(found.coverage.max()))  # a thing may be thinner than half a pixel
        mask[found.rows, found.cols][held] = found.which + 1
        boxes[found.which] = box(held, found.rows.start, found.cols.start, size)
    depths = [t.depth for t in scene.things]
    order = np.array([max(depths, default=0) + 1, *depths], np.float32)
    return Picture(image, mask, tuple(boxes), order[mask])


def written(word: str, size: int) -> tuple[Int32[np.ndarray, "rows w"], slice]:
    """How much (0..255) of each pixel a word covers, and the rows that this is about."""
    strip = slice(floor((UNIT - lettering.STRIP) * size / UNIT), size)
    centres = ((np.arange(size) + 0.5) * (UNIT / size)).astype(np.float32)
    share = lettering.ink(word, centres[None, :], centres[strip, None], UNIT / size)
    return (share * 255.0 + 0.5).astype(np.int32), strip


def _footprint(index: int, thing: Thing, size: int) -> Footprint:
    rows, cols = _window(thing.y, thing.radius, size), _window(thing.x, thing.radius, size)
    pixel = UNIT / (size * thing.radius)
    down = _centres(rows, thing.y, pixel, size)[:, None]
    across = _centres(cols, thing.x, pixel, size)[None, :]
    c, s = turn(thing.rotation)
    x, y = across * c + down * s, down * c - across * s
    outline = shapes.SIGNED_DISTANCE[thing.shape](x, y)
    coverage = levels(outline / pixel)
    return Footprint(index, thing, rows, cols, pixel, x, y, outline, coverage, pattern(thing, x, y, outline, pixel))


def pattern(thing: Thing, x: Plane, y: Plane, outline: Plane, pixel: float) -> Int32[np.ndarray, "h w"]:
    """How much (0..255) of each pixel has the second tone of the thing's texture."""
    if thing.texture == "plain":
        return np.zeros(x.shape, np.int32)
    return levels(np.maximum(textures.SIGNED_DISTANCE[thing.texture](x, y), outline + _RIM) / pixel)


def _window(centre: int, radius: int, size: int) -> slice:
    """The pixels that a thing can touch along one axis."""
    low, high = (centre - radius) * size / UNIT, (centre + radius) * size / UNIT
    return slice(max(0, floor(low) - 1), min(size, ceil(high) + 1))


def _centres(span: slice, origin: int, pixel: float, size: int) -> np.ndarray:
    """Pixel centres along one axis, from a thing's centre, in the thing's own unit."""
    return (np.arange(span.start, span.stop) * pixel + (0.5 - origin * size / UNIT) * pixel).astype(np.float32)


@cache
def turn(degrees: int) -> tuple[float, float]:
    """Cosine and sine, rounded so that the last bits of a mathematics library cannot reach a pixel."""
    return round(cos(radians(degrees)) * 65536) / 65536, round(sin(radians(degrees)) * 65536) / 65536


def levels(distance: Plane) -> Int32[np.ndarray, "h w"]:
    """0..255: how much of a pixel lies inside an outline at this distance (in pixels) from its centre."""
    return (np.minimum(np.maximum(0.5 - distance, 0.0), 1.0) * 255.0 + 0.5).astype(np.int32)


def _paint(image: np.ndarray, coverage: np.ndarray, pattern: np.ndarray, colour: tuple[int, int, int]) -> None:
    """Lays the thing over `image` (a view, h w 3), in place."""
    first, second = np.array(colour, np.int32), np.array(SECOND_TONE, np.int32)
    _blend(image, first + ((second - first) * pattern[..., None] + 127) // 255, coverage)


def _blend(image: np.ndarray, tone: np.ndarray, coverage: np.ndarray) -> None:
    below = image.astype(np.int32)
    image[:] = below + ((tone - below) * coverage[..., None] + 127) // 255


def box(held: np.ndarray, top: int, left: int, size: int) -> Box:
    """The box around the pixels of a window that a thing holds, as fractions of the picture."""
    rows, cols = np.flatnonzero(held.any(1)), np.flatnonzero(held.any(0))
    x0, x1, y0, y1 = left + cols[0], left + cols[-1] + 1, top + rows[0], top + rows[-1] + 1
    return float(x0 / size), float(y0 / size), float(x1 / size), float(y1 / size)
