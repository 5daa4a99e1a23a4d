"""The camera of the solid style: it looks at the middle of the wall from the front or from 25 degrees off that.

The wall is the plane z = 0, x and y on it are the scene's own, and z points towards the viewer.
"""

from dataclasses import dataclass
from math import ceil, floor
from typing import NamedTuple

import numpy as np

from dovetail.data.worlds.facts import UNIT
from dovetail.data.worlds.pictures.shapes import Plane

Vector = tuple[float, float, float]

_COS, _SIN = 0.9063078, 0.4226183  # of 25 degrees
_DISTANCE = 3000.0  # from what it looks at, in the scene's unit
_AIM = (UNIT / 2, UNIT / 2, 50.0)
_HALF = 0.5 * UNIT * 1.09  # what it sees to each side at that distance: the whole wall from everywhere


class Space(NamedTuple):
    """Points or directions, one component each."""

    x: Plane
    y: Plane
    z: Plane


@dataclass(frozen=True)
class Camera:
    """A perspective camera with its three axes (unit vectors) in the scene."""

    right: Vector
    down: Vector
    back: Vector  # from what it looks at to where it stands

    @property
    def position(self) -> Vector:
        """Where it stands."""
        x, y, z = (aim + _DISTANCE * axis for aim, axis in zip(_AIM, self.back, strict=True))
        return x, y, z

    def rays(self, rows: slice, cols: slice, size: int) -> Space:
        """Unit vectors from the camera through the middle of each pixel of a window."""
        across = ((np.arange(cols.start, cols.stop) + 0.5) * (2 / size) - 1.0)[None, :] * (_HALF / _DISTANCE)
        down = ((np.arange(rows.start, rows.stop) + 0.5) * (2 / size) - 1.0)[:, None] * (_HALF / _DISTANCE)
        x, y, z = (self.right[k] * across + self.down[k] * down - self.back[k] for k in range(3))
        length = np.sqrt(x * x + y * y + z * z)
        return Space(*((part / length).astype(np.float32) for part in (x, y, z)))

    def seen(self, point: Vector) -> tuple[float, float]:
        """Where a point appears in the picture: 0..1 from the left and from the top."""
        away = [p - c for p, c in zip(point, self.position, strict=True)]
        x, y, z = (sum(a * b for a, b in zip(away, axis, strict=True)) for axis in (self.right, self.down, self.back))
        scale = _DISTANCE / (2 * _HALF)
        return 0.5 - x / z * scale, 0.5 - y / z * scale

    def window(self, low: Vector, high: Vector, size: int) -> tuple[slice, slice]:
        """The pixels in which a box with edges along the scene's axes can appear, as rows and columns."""
        corners = [
            self.seen((x, y, z)) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])
        ]
        cols, rows = (sorted(c) for c in zip(*corners, strict=True))
        return _span(rows[0], rows[-1], size), _span(cols[0], cols[-1], size)


def _span(low: float, high: float, size: int) -> slice:
    start = min(max(floor(low * size) - 1, 0), size - 1)
    return slice(start, max(min(ceil(high * size) + 1, size), start + 1))


CAMERAS = {
    "front": Camera((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "left": Camera((_COS, 0.0, _SIN), (0.0, 1.0, 0.0), (-_SIN, 0.0, _COS)),
    "right": Camera((_COS, 0.0, -_SIN), (0.0, 1.0, 0.0), (_SIN, 0.0, _COS)),
    "above": Camera((1.0, 0.0, 0.0), (0.0, _COS, _SIN), (0.0, -_SIN, _COS)),
    "below": Camera((1.0, 0.0, 0.0), (0.0, _COS, -_SIN), (0.0, _SIN, _COS)),
}
"""By viewpoint."""
