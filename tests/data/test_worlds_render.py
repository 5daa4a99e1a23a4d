"""Pictures against the facts they show, and pinned pixels."""

import hashlib
from math import cos, pi, radians, sin

import numpy as np
import pytest

from dovetail.data.records import DataError
from dovetail.data.worlds import Sampler, Scene, Thing, render
from dovetail.data.worlds.facts import COLOURS, SHAPES, TEXTURES
from dovetail.data.worlds.pictures.render import BACKGROUND_RGB, RGB

SCENES = [Sampler()(5, i) for i in range(120)]


def big(shape: str, texture: str = "plain", rotation: int = 0, colour: str = "red") -> Scene:
    return Scene((Thing(shape, colour, "large", texture, 480, 530, 400, rotation),), "white")


@pytest.mark.parametrize(("size", "golden"), [(64, "GOLDEN_64"), (97, "GOLDEN_97")])
def test_pixels_masks_and_boxes_are_pinned(size: int, golden: str) -> None:
    digest = hashlib.sha256()
    for scene in SCENES[:40]:
        picture = render(scene, size)
        digest.update(picture.image.tobytes() + picture.mask.tobytes() + repr(picture.boxes).encode())
    assert digest.hexdigest() == globals()[golden]


@pytest.mark.parametrize("size", [16, 64, 200])
def test_form(size: int) -> None:
    picture = render(SCENES[0], size)
    assert picture.image.shape == (size, size, 3)
    assert picture.image.dtype == picture.mask.dtype == np.uint8
    assert picture.mask.shape == (size, size)


def test_a_size_that_shows_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="at least 16"):
        render(SCENES[0], 8)


def test_every_pixel_well_inside_a_plain_thing_has_its_colour_and_the_rest_the_background() -> None:
    for scene in SCENES:
        picture = render(scene, 64)
        for k, thing in enumerate(scene.things):
            inside = _eroded(picture.mask == k + 1)
            if thing.texture == "plain":
                assert inside.any()
                assert (picture.image[inside] == RGB[thing.colour]).all()
        y, x = (np.mgrid[:64, :64] + 0.5) * 1000 / 64
        outside = np.all([(x - t.x) ** 2 + (y - t.y) ** 2 > (t.radius + 16) ** 2 for t in scene.things], 0)
        assert (picture.image[outside] == BACKGROUND_RGB[scene.background]).all()


def _eroded(mask: np.ndarray) -> np.ndarray:
    """Pixels whose eight neighbours are in the mask as well."""
    inner = mask[1:-1, 1:-1].copy()
    for dy in (0, 1, 2):
        for dx in (0, 1, 2):
            inner &= mask[dy : dy + 62, dx : dx + 62]
    return np.pad(inner, 1)


def test_masks_agree_with_boxes_and_show_every_thing() -> None:
    for scene in SCENES:
        picture = render(scene, 64)
        assert set(np.unique(picture.mask)) == set(range(len(scene.things) + 1))
        for k, box in enumerate(picture.boxes):
            rows, cols = np.nonzero(picture.mask == k + 1)
            found = (cols.min(), rows.min(), cols.max() + 1, rows.max() + 1)
            assert tuple(round(edge * 64) for edge in box) == found


def _outline(shape: str) -> list[tuple[float, float]]:
    """The extreme points of a shape, from its definition."""
    fine = [2 * pi * i / 720 for i in range(720)]
    return {
        "circle": [(0.88 * cos(a), 0.88 * sin(a)) for a in fine],
        "ring": [(0.92 * cos(a), 0.92 * sin(a)) for a in fine],
        "square": [(x, y) for x in (-0.7, 0.7) for y in (-0.7, 0.7)],
        "cross": [(x * a, y * b) for x in (-1, 1) for y in (-1, 1) for a, b in ((0.9, 0.34), (0.34, 0.9))],
        "triangle": [(0.98 * sin(2 * pi * i / 3), 0.03 - 0.98 * cos(2 * pi * i / 3)) for i in range(3)],
        "star": [(0.97 * sin(2 * pi * i / 5), 0.03 - 0.97 * cos(2 * pi * i / 5)) for i in range(5)],
        "heart": [(0.0, 0.88)]
        + [(s * 0.375 + 0.53033 * cos(a), 0.13 - 0.375 + 0.53033 * sin(a)) for a in fine for s in (-1, 1)],
        "crescent": [p for a in fine if _far(p := (0.13 + 0.88 * cos(a), 0.88 * sin(a)))],
    }[shape]


def _far(point: tuple[float, float]) -> bool:
    return (point[0] - 0.55) ** 2 + point[1] ** 2 >= 0.68**2


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rotation", [0, 17, -20])
def test_boxes_are_tight_within_a_pixel(shape: str, rotation: int) -> None:
    c, s = cos(radians(rotation)), sin(radians(rotation))
    points = [(0.48 + 0.4 * (c * x - s * y), 0.53 + 0.4 * (s * x + c * y)) for x, y in _outline(shape)]
    xs, ys = zip(*points, strict=True)
    expected = (min(xs), min(ys), max(xs), max(ys))
    # A point thinner than half a pixel is not counted as held, hence a little more room for sharp shapes.
    room = {"star": 2.0, "crescent": 2.0, "triangle": 1.5}.get(shape, 1.0)
    (found,) = render(big(shape, rotation=rotation), 256).boxes
    assert np.abs(np.subtract(found, expected)).max() * 256 <= room


@pytest.mark.parametrize("shape", SHAPES)
def test_coverage_is_the_area(shape: str) -> None:
    """Anti-aliasing: the mean of a picture equals that of one sixteen times as fine."""
    coarse, fine = (render(big(shape, rotation=9), size).image.astype(float).mean((0, 1)) for size in (32, 512))
    assert np.abs(coarse - fine).max() < 0.6


def test_shapes_and_textures_are_all_different() -> None:
    pictures = {(s, t): render(big(s, t), 64).image.astype(int) for s in SHAPES for t in TEXTURES}
    keys = list(pictures)
    for i, a in enumerate(keys):
        for b in keys[:i]:
            assert np.abs(pictures[a] - pictures[b]).mean() > 2, (a, b)


def test_colours_are_well_separated() -> None:
    values = [np.array(RGB[c]) for c in COLOURS] + [np.array(v) for v in BACKGROUND_RGB.values()]
    for i, a in enumerate(values[:8]):
        assert all(np.abs(a - b).max() >= 60 for k, b in enumerate(values) if k != i)


def test_nearer_things_hide_farther_ones() -> None:
    far = Thing("square", "red", "large", "plain", 500, 500, 300, 0, depth=1)
    near = Thing("circle", "blue", "small", "plain", 500, 500, 100, 0, depth=0)
    for things in ((far, near), (near, far)):
        picture = render(Scene(things, "white"), 64)
        assert tuple(picture.image[32, 32]) == RGB["blue"]
        assert things[picture.mask[32, 32] - 1] == near
        assert things[picture.mask[32, 44] - 1] == far


GOLDEN_64 = "b3f19e82881d17b04edb7e2bc8640af80159adcb4eb6a0edf06ccc16436cff23"
GOLDEN_97 = "ad0a7b8bc0f81ecfaa3e61fb40879760223ca75be3e6bc1b6f7dd3b0579b9b78"
