"""The solid style: things as thick, rounded solids in front of a board on a wall, lit by a lamp, seen by a camera."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from dovetail.data.records import DataError
from dovetail.data.worlds.facts import UNIT, Scene
from dovetail.data.worlds.pictures import lettering
from dovetail.data.worlds.pictures.camera import CAMERAS, Camera, Space
from dovetail.data.worlds.pictures.relief import Relief
from dovetail.data.worlds.pictures.render import (
    BACKGROUND_RGB,
    INK_RGB,
    LEAST_SIZE,
    RGB,
    SECOND_TONE,
    Box,
    Picture,
    box,
    pattern,
)
from dovetail.data.worlds.pictures.shapes import Plane

Canvas = Float32[np.ndarray, "h w 3"]

_FINE = 2  # rays a pixel, along each side
_LIGHT = (-0.3651484, -0.5477226, 0.7527727)  # where it comes from: upper left, in front of the wall
_AMBIENT, _DIRECT, _GLOSS, _DARK = 0.5, 0.62, 42.0, 0.5
_SOFT = 26.0  # width of a shadow's border on the wall, in the scene's unit
_HEIGHTS = 6  # at which a shadow's rays cross a thing
_BEYOND = 0.62  # of the light, behind the board that the scene hangs on
_LIFT = (6.0, 36.0)  # over the wall, of the farthest and the nearest thing


class Seen(NamedTuple):
    """What the rays of a window meet of one thing."""

    rows: slice
    cols: slice
    along: Plane  # how far it is, infinite where it is missed
    hit: Bool[np.ndarray, "h w"]


@dataclass(frozen=True)
class Solid:
    """Things in relief, seen from the scene's viewpoint. Relations and places hold from all of them."""

    def __call__(self, scene: Scene, size: int) -> Picture:
        """The scene's picture. Raises DataError when the size is too small to show anything."""
        if size < LEAST_SIZE:
            raise DataError(f"a picture of {size} pixels shows nothing; expected a size of at least {LEAST_SIZE}")
        fine, camera = size * _FINE, CAMERAS[scene.viewpoint]
        rays = camera.rays(slice(0, fine), slice(0, fine), fine)
        depth = (-camera.position[2] / rays.z).astype(np.float32)
        solids = reliefs(scene)
        image = _wall(scene, solids, camera, _points(camera, rays, depth), fine)
        owner = np.zeros((fine, fine), np.uint8)
        boxes: list[Box] = []
        for index, solid in enumerate(solids):
            seen = _look(solid, camera, rays, fine)
            boxes.append(_box(seen, size))
            window = (seen.rows, seen.cols)
            front = seen.hit & (seen.along < depth[window])
            inside = tuple(np.nonzero(front))
            depth[window][inside] = seen.along[inside]
            owner[window][inside] = index + 1
            part = Space(*(r[window][inside][None] for r in rays))
            image[window][inside] = _surface(solid, camera, part, seen.along[inside][None], fine)[0]
        return _finished(image, owner, depth, tuple(boxes))


def reliefs(scene: Scene) -> tuple[Relief, ...]:
    """The scene's things as solids; the nearer a thing, the farther it stands out from the wall."""
    order = sorted({t.depth for t in scene.things}, reverse=True)
    low, high = _LIFT
    return tuple(Relief(t, low + (high - low) * order.index(t.depth) / max(1, len(order) - 1)) for t in scene.things)


def _look(solid: Relief, camera: Camera, rays: Space, fine: int) -> Seen:
    rows, cols = camera.window(solid.low, solid.high, fine)
    along = solid.hit(camera.position, Space(*(r[rows, cols] for r in rays)))
    return Seen(rows, cols, along, np.isfinite(along))


def _points(camera: Camera, rays: Space, along: np.ndarray) -> Space:
    return Space(*((c + r * along).astype(np.float32) for c, r in zip(camera.position, rays, strict=True)))


def _wall(scene: Scene, solids: tuple[Relief, ...], camera: Camera, at: Space, fine: int) -> Canvas:
    """The wall with its writing, and the shadows of the things on it."""
    image = np.empty((fine, fine, 3), np.float32)
    image[:] = BACKGROUND_RGB[scene.background]
    if scene.writing is not None:
        letters = lettering.ink(scene.writing, at.x, at.y, UNIT / fine)[..., None]
        image += (np.array(INK_RGB[scene.background], np.float32) - image) * letters
    light = _falloff(at.x, at.y) * (_BEYOND + (1.0 - _BEYOND) * _board(at.x, at.y, UNIT / fine))
    for solid in solids:
        reach = 1.5 * solid.high[2] + _SOFT  # of the shadow
        low = (solid.low[0], solid.low[1], 0.0)
        high = (solid.high[0] + reach, solid.high[1] + reach, 0.0)
        window = camera.window(low, high, fine)
        light[window] *= 1.0 - _DARK * _shadow(solid, at.x[window], at.y[window])
    return image * light[..., None]


def _falloff(x: Plane, y: Plane) -> Plane:
    """Light on the wall: a little less with the distance from the corner that the lamp stands at."""
    return (1.04 - 0.16 * (0.4 * x + 0.6 * y) / UNIT).astype(np.float32)


def _board(x: Plane, y: Plane, pixel: float) -> Plane:
    """1 on the board, which ends where the scene does, and 0 around it."""
    out = np.maximum(np.abs(x - UNIT / 2), np.abs(y - UNIT / 2)) - UNIT / 2
    return np.minimum(np.maximum(0.5 - out / pixel, 0.0), 1.0).astype(np.float32)


def _shadow(solid: Relief, x: Plane, y: Plane) -> Plane:
    """How dark (0..1) points of the wall are: the ray to the lamp crosses the solid at several heights."""
    dark = np.zeros_like(x)
    soft = _SOFT / solid.thing.radius
    for step in range(_HEIGHTS):
        height = solid.low[2] + (solid.high[2] - solid.low[2]) * step / (_HEIGHTS - 1)
        across, down = (np.float32(part * height / _LIGHT[2]) for part in _LIGHT[:2])
        own = solid.own(Space(x + across, y + down, x))
        share = np.minimum(np.maximum(0.5 - (solid.outline(own.x, own.y) + 0.5 * soft) / soft, 0.0), 1.0)
        dark = np.maximum(dark, share)
    return dark * dark * (3.0 - 2.0 * dark)


def _surface(solid: Relief, camera: Camera, rays: Space, along: Plane, fine: int) -> Canvas:
    """Colours where rays meet a thing: Lambert's law for its colour, Blinn's highlight over that."""
    own = solid.own(_points(camera, rays, along))
    normal = solid.normal(own)
    pixel = UNIT / (fine * solid.thing.radius)
    share = pattern(solid.thing, own.x, own.y, solid.outline(own.x, own.y), pixel).astype(np.float32)[..., None] / 255.0
    first, second = np.array(RGB[solid.thing.colour], np.float32), np.array(SECOND_TONE, np.float32)
    facing = np.maximum(sum(n * part for n, part in zip(normal, _LIGHT, strict=True)), 0.0)
    half = [part - r for part, r in zip(_LIGHT, rays, strict=True)]
    length = np.sqrt(sum(h * h for h in half))
    shine = np.maximum(sum(n * h for n, h in zip(normal, half, strict=True)) / length, 0.0)
    for _ in range(5):  # to the power 32
        shine = shine * shine
    light = _AMBIENT + _DIRECT * facing
    return ((first + (second - first) * share) * light[..., None] + _GLOSS * shine[..., None]).astype(np.float32)


def _box(seen: Seen, size: int) -> Box:
    """The box around the pixels that the thing alone would hold."""
    hits = np.zeros((size * _FINE, size * _FINE), np.bool_)
    hits[seen.rows, seen.cols] = seen.hit
    held = np.stack(_parts(hits)).sum(0)
    return box(held >= min(_FINE, int(held.max())), 0, 0, size)


def _parts(fine: np.ndarray) -> list[np.ndarray]:
    """The rays of each pixel as pictures of their own."""
    return [fine[i::_FINE, j::_FINE] for i in range(_FINE) for j in range(_FINE)]


def _finished(image: Canvas, owner: UInt8[np.ndarray, "h w"], depth: Plane, boxes: tuple[Box, ...]) -> Picture:
    """The rays of a pixel as one: the mean of their colours, and the mean distance of the owner of half of them."""
    mean = np.stack(_parts(np.minimum(np.maximum(image, 0.0), 255.0))).sum(0) / np.float32(_FINE * _FINE)
    owners, depths = np.stack(_parts(owner)), np.stack(_parts(depth))
    ordered = np.sort(owners, 0)  # of four, the owner of two is twice in a row
    mask = np.zeros(ordered.shape[1:], np.uint8)
    for a, b in pairwise(ordered):
        np.copyto(mask, a, where=(a == b) & (a > 0))
    held = owners == mask
    count = held.sum(0).astype(np.float32)
    total = np.where(held, depths, np.float32(0.0)).sum(0)
    distance = np.where(count > 0, total / np.maximum(count, 1.0), depths.max(0)).astype(np.float32)
    return Picture((mean + 0.5).astype(np.uint8), mask, boxes, distance)
