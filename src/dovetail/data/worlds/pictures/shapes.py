"""The shapes as signed distances: negative inside, positive outside, exact near the outline.

Every shape lies within the unit disc, y points down. Only operations that IEEE 754 rounds correctly (+ - * / sqrt min
max abs) are used, so that a pixel is the same on every machine.
"""

from collections.abc import Callable
from math import sqrt

import numpy as np
from jaxtyping import Float32

Plane = Float32[np.ndarray, "h w"]

_SIN72, _COS72, _SIN36, _COS36 = 0.9510565, 0.3090170, 0.5877853, 0.8090170
_HALF = sqrt(0.5)


def _length(x: Plane, y: Plane) -> Plane:
    return np.sqrt(x * x + y * y)


def circle(x: Plane, y: Plane) -> Plane:
    """A disc."""
    return _length(x, y) - 0.88


def square(x: Plane, y: Plane) -> Plane:
    """A square with sides along the axes."""
    return np.maximum(np.abs(x), np.abs(y)) - 0.7


def triangle(x: Plane, y: Plane) -> Plane:
    """An equilateral triangle, point up."""
    y = y - 0.03
    return np.maximum(y, np.abs(x) * 0.8660254 - y * 0.5) - 0.49


def star(x: Plane, y: Plane) -> Plane:
    """A star of five points, one up: folded at its mirror axes until a single edge is left."""
    x, y = np.abs(x), y - 0.03
    for nx, ny in ((-_COS72, _SIN72), (_COS72, _SIN72), (_COS36, _SIN36)):  # axes at 108, 72, 36 degrees from up
        beyond = np.maximum(x * nx + y * ny, 0.0) * 2.0
        x, y = x - beyond * nx, y - beyond * ny
    return x * 0.896731 - y * 0.442565 - 0.429  # from the point at 0.97 to the notch at half of that


def heart(x: Plane, y: Plane) -> Plane:
    """A square on its corner with a disc on each of its upper sides."""
    x, y = np.abs(x), y - 0.13
    corner = (x + np.abs(y)) * _HALF - 0.75 * _HALF
    return np.minimum(corner, _length(x - 0.375, y + 0.375) - 0.75 * _HALF)


def cross(x: Plane, y: Plane) -> Plane:
    """A plus sign."""
    x, y = np.abs(x), np.abs(y)
    return np.minimum(np.maximum(x - 0.9, y - 0.34), np.maximum(x - 0.34, y - 0.9))


def ring(x: Plane, y: Plane) -> Plane:
    """A disc with a hole."""
    return np.abs(_length(x, y) - 0.66) - 0.26


def crescent(x: Plane, y: Plane) -> Plane:
    """A moon, open to the right."""
    return np.maximum(_length(x - 0.13, y) - 0.88, 0.68 - _length(x - 0.55, y))


SIGNED_DISTANCE: dict[str, Callable[[Plane, Plane], Plane]] = {
    f.__name__: f for f in (circle, square, triangle, star, heart, cross, ring, crescent)
}
