"""Surfaces: value noise from integer hashes, and the colours of natural-looking materials made of it.

Only integer arithmetic and correctly rounded operations, so that a pixel is the same on every machine.
"""

from hashlib import blake2b

import numpy as np
from jaxtyping import UInt32

from dovetail.data.worlds.facts import Scene
from dovetail.data.worlds.pictures.shapes import Plane


def noise(x: Plane, y: Plane, seed: int) -> Plane:
    """Smooth random values of -1..1: one per point of the integer lattice, and between them a cubic blend.

    The blend is Perlin's 3 t^2 - 2 t^3 ("An Image Synthesizer", 1985).
    """
    left, top = np.floor(x), np.floor(y)
    across, down = x - left, y - top
    across, down = across * across * (3.0 - 2.0 * across), down * down * (3.0 - 2.0 * down)
    column, row = left.astype(np.int32).astype(np.uint32), top.astype(np.int32).astype(np.uint32)
    next_column, next_row = column + np.uint32(1), row + np.uint32(1)
    upper, lower = _value(column, row, seed), _value(column, next_row, seed)
    upper = upper + (_value(next_column, row, seed) - upper) * across
    lower = lower + (_value(next_column, next_row, seed) - lower) * across
    return (upper + (lower - upper) * down).astype(np.float32)


def _value(column: UInt32[np.ndarray, "h w"], row: UInt32[np.ndarray, "h w"], seed: int) -> Plane:
    """A random value of -1..1 for each point of the lattice: multiply, shift and mix, modulo 2^32."""
    h: np.ndarray = column * np.uint32(0x9E3779B1) + row * np.uint32(0x85EBCA77) + np.uint32(seed & 0xFFFFFFFF)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x2C1B3C6D)
    h = (h ^ (h >> np.uint32(12))) * np.uint32(0x297A2D39)
    return (h >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1.0)


def paper(x: Plane, y: Plane, seed: int) -> Plane:
    """Brightness (about 1) of handmade paper at points of the unit square: clouds, fibres and grain."""
    clouds = noise(x * 3.0, y * 3.0, seed)
    fibres = noise(x * 60.0 + clouds * 2.0, y * 11.0, seed + 1) + noise(x * 9.0, y * 52.0 + clouds * 2.0, seed + 2)
    return 1.0 + 0.035 * clouds + 0.025 * fibres + 0.02 * noise(x * 90.0, y * 90.0, seed + 3)


def cloth(x: Plane, y: Plane, seed: int) -> Plane:
    """Brightness (about 1) of woven cloth in a thing's own unit: threads up, threads across, folds."""
    folds = noise(x * 1.6, y * 1.6, seed)
    bent_x, bent_y = x * 6.5 + 0.3 * folds, y * 6.5 + 0.3 * folds
    threads = _ridges(bent_x) * _ridges(bent_y + 0.5)
    worn = noise(x * 7.0, y * 7.0, seed + 1)
    return 1.0 + 0.09 * folds + 0.07 * threads + 0.05 * worn


def _ridges(t: Plane) -> Plane:
    """A triangle wave of -1..1 with period 1."""
    return np.abs(t - np.floor(t) - 0.5) * 4.0 - 1.0


def key(scene: Scene) -> int:
    """A number (32 bits) that the scene's surfaces depend on. A motion does not change it: frames do not flicker."""
    words = [scene.background, str(scene.writing)]
    for t in scene.things:
        words += [t.colour, t.shape, t.size, t.texture]
        words += [t.motion] if t.motion else [str((t.x, t.y, t.radius, t.rotation))]
    return int.from_bytes(blake2b(" ".join(words).encode(), digest_size=4).digest(), "little")
