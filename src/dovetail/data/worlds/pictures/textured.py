"""The textured style: pieces of cloth on paper under a lamp that stands elsewhere in every scene."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from dovetail.data.worlds.draws import Draws
from dovetail.data.worlds.facts import Scene
from dovetail.data.worlds.pictures import shapes, surfaces
from dovetail.data.worlds.pictures.render import (
    BACKGROUND_RGB,
    INK_RGB,
    RGB,
    SECOND_TONE,
    Footprint,
    Picture,
    footprints,
    picture,
    turn,
    written,
)
from dovetail.data.worlds.pictures.shapes import Plane

Canvas = Float32[np.ndarray, "h w 3"]

_LIFT = 0.13  # of a piece over the paper, in its own unit: how far its shadow is off
_SOFT = 0.22  # width of the shadow's border, in the same unit
_DARK = 0.5  # of the light that a shadow takes
_EDGE = 0.2  # width of the rounded edge, in the same unit


@dataclass(frozen=True)
class Lamp:
    """Light of one scene: where it comes from in the plane of the picture, how strong and how warm it is."""

    across: float
    down: float
    brightness: float
    falloff: float
    tint: tuple[float, float, float]


@dataclass(frozen=True)
class Textured:
    """The geometry of the flat style with natural-looking surfaces, shadows and a light of each scene's own."""

    def __call__(self, scene: Scene, size: int) -> Picture:
        """The scene's picture. Raises DataError when the size is too small to show anything."""
        prints = footprints(scene, size)
        key = surfaces.key(scene)
        lamp = _lamp(Draws("lamp", key))
        image = np.empty((size, size, 3), np.float32)
        image[:] = BACKGROUND_RGB[scene.background]
        centres = ((np.arange(size) + 0.5) / size).astype(np.float32)
        x, y = np.broadcast_arrays(centres[None, :], centres[:, None])
        image *= surfaces.paper(x, y, key)[..., None]
        if scene.writing is not None:
            letters, strip = written(scene.writing, size)
            _lay(image[strip], np.array(INK_RGB[scene.background], np.float32), letters)
        for found in prints:
            _shade(image, found, lamp)
            brightness = surfaces.cloth(found.x, found.y, key + 16 * (found.which + 1)) + _relief(found, lamp)
            _lay(image[found.rows, found.cols], _colours(found) * brightness[..., None], found.coverage)
        image *= (lamp.brightness + lamp.falloff * (lamp.across * (x - 0.5) + lamp.down * (y - 0.5)))[..., None]
        image *= np.array(lamp.tint, np.float32)
        pixels = (np.minimum(np.maximum(image, 0.0), 255.0) + 0.5).astype(np.uint8)
        return picture(pixels, scene, prints)


def _lamp(draws: Draws) -> Lamp:
    across, down = turn(draws.between(200, 340))  # from above, more or less
    warm = draws.between(-3, 3) / 100
    brightness = draws.between(94, 103) / 100
    return Lamp(across, down, brightness, draws.between(6, 22) / 100, (1 + warm, 1.0, 1 - warm))


def _colours(found: Footprint) -> Canvas:
    first, second = np.array(RGB[found.thing.colour], np.float32), np.array(SECOND_TONE, np.float32)
    return first + (second - first) * (found.pattern[..., None].astype(np.float32) / np.float32(255.0))


def _lay(image: Canvas, tone: Float32[np.ndarray, "..."], coverage: np.ndarray) -> None:
    """Blends a colour over `image` (a view), in place."""
    image += (tone - image) * (coverage[..., None].astype(np.float32) / np.float32(255.0))


def _own(found: Footprint, across: float, down: float) -> tuple[float, float]:
    """A direction of the picture, seen in the thing's turned coordinates."""
    c, s = turn(found.thing.rotation)
    return across * c + down * s, down * c - across * s


def _shade(image: Canvas, found: Footprint, lamp: Lamp) -> None:
    """Darkens the pixels in the shadow of the thing, in place: its outline, moved away from the lamp and blurred."""
    x, y, rows, cols = _wider(found, len(image))
    across, down = _own(found, lamp.across * _LIFT, lamp.down * _LIFT)
    distance = shapes.SIGNED_DISTANCE[found.thing.shape](x + across, y + down)
    depth = np.minimum(np.maximum(0.5 - distance / _SOFT, 0.0), 1.0)
    image[rows, cols] *= (1.0 - _DARK * depth * depth * (3.0 - 2.0 * depth))[..., None]


def _wider(found: Footprint, size: int) -> tuple[Plane, Plane, slice, slice]:
    """The thing's own coordinates on a window with room for its shadow."""
    room = int((_LIFT + _SOFT) / found.pixel) + 1
    rows = slice(max(0, found.rows.start - room), min(size, found.rows.stop + room))
    cols = slice(max(0, found.cols.start - room), min(size, found.cols.stop + room))
    down = (np.arange(rows.start, rows.stop) - found.rows.start).astype(np.float32)[:, None] * found.pixel
    across = (np.arange(cols.start, cols.stop) - found.cols.start).astype(np.float32)[None, :] * found.pixel
    c, s = turn(found.thing.rotation)
    x, y = found.x[0, 0] + across * c + down * s, found.y[0, 0] + down * c - across * s
    return x.astype(np.float32), y.astype(np.float32), rows, cols


def _relief(found: Footprint, lamp: Lamp) -> Plane:
    """Light on the rounded edge: brighter where it faces the lamp, darker where it turns away."""
    across, down = _own(found, lamp.across * 0.04, lamp.down * 0.04)
    nearer = shapes.SIGNED_DISTANCE[found.thing.shape](found.x + across, found.y + down) - found.outline
    edge = np.minimum(np.maximum(1.0 + found.outline / _EDGE, 0.0), 1.0)
    return (edge * edge * nearer * np.float32(0.28 / 0.04)).astype(np.float32)
