"""The textures as signed distances to the pattern's second tone: negative where it is painted.

Coordinates are a thing's own: its circle is the unit disc. Only correctly rounded operations, as in `shapes`.
"""

from collections.abc import Callable

import numpy as np

from dovetail.data.worlds.pictures.shapes import Plane


def _wave(x: Plane, period: float) -> Plane:
    """Distance from the nearest of the lines `period` apart, one of which goes through 0."""
    x = x / period
    return np.abs(x - np.floor(x + 0.5)) * period


def plain(x: Plane, y: Plane) -> Plane:
    """No pattern."""
    return np.ones_like(x)


def striped(x: Plane, y: Plane) -> Plane:
    """Stripes that rise to the right."""
    return _wave((x + y) * 0.70710678, 0.62) - 0.15


def dotted(x: Plane, y: Plane) -> Plane:
    """Dots on a square lattice."""
    x, y = _wave(x, 0.56), _wave(y, 0.56)
    return np.sqrt(x * x + y * y) - 0.18


def checked(x: Plane, y: Plane) -> Plane:
    """A chessboard."""
    x, y = _wave(x - 0.16, 0.64) - 0.16, _wave(y - 0.16, 0.64) - 0.16
    # Painted where exactly one of the two waves is low; the nearer line is the outline.
    return np.where((x < 0) != (y < 0), -1.0, 1.0).astype(np.float32) * np.minimum(np.abs(x), np.abs(y))


SIGNED_DISTANCE: dict[str, Callable[[Plane, Plane], Plane]] = {f.__name__: f for f in (plain, striped, dotted, checked)}
