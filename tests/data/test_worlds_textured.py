"""The textured style: the flat style's geometry, surfaces that vary, light that differs from scene to scene."""

from dataclasses import replace

import numpy as np
import pytest

from dovetail.data.worlds import Flat, Sampler, Scene, Thing
from dovetail.data.worlds.pictures.shapes import Plane
from dovetail.data.worlds.pictures.surfaces import cloth, key, noise, paper
from dovetail.data.worlds.pictures.textured import Textured

SCENES = [Sampler((1, 5), writing=0.3)(9, i) for i in range(20)]


def grid(n: int, scale: float) -> tuple[Plane, Plane]:
    y, x = (np.mgrid[:n, :n] * (scale / n)).astype(np.float32)
    return x, y


def test_geometry_is_that_of_the_flat_style() -> None:
    for scene in SCENES:
        plain, rich = Flat()(scene, 64), Textured()(scene, 64)
        assert (plain.mask == rich.mask).all()
        assert plain.boxes == rich.boxes


def test_surfaces_are_not_plain_but_keep_their_colour() -> None:
    scene = Scene((Thing("circle", "green", "large", "plain", 500, 500, 300),), "cream")
    plain, rich = Flat()(scene, 128), Textured()(scene, 128)
    for part in (0, 1):
        flat, real = plain.image[plain.mask == part].astype(float), rich.image[plain.mask == part].astype(float)
        assert real.std(0).max() > 4
        assert np.abs(np.median(real, 0) - np.median(flat, 0)).max() < 40


def test_light_differs_between_scenes_and_shadows_fall_away_from_it() -> None:
    ends = []
    for x in range(400, 600, 20):
        image = Textured()(Scene((Thing("circle", "blue", "small", "plain", x, 500, 150),), "white"), 96).image
        grey = image.astype(float).mean(2)
        half = grey[:48, :].mean() - grey[48:, :].mean()
        ends.append(grey[2:8, 2:8].mean())
        column = x * 96 // 1000
        above, below = grey[48 - 15 : 48 - 13, column].mean(), grey[48 + 13 : 48 + 15, column].mean()
        assert half > 0  # the lamp stands above
        assert below < above - 8
    assert np.std(ends) > 2


def test_noise_is_centred_continuous_and_pinned_at_lattice_points() -> None:
    x, y = grid(200, 50)
    values = noise(x, y, 3)
    assert values.dtype == np.float32
    assert np.abs(values).max() <= 1
    assert abs(values.mean()) < 0.05
    assert 0.2 < values.std() < 0.6
    assert np.abs(np.diff(values, axis=1)).max() < 1.1 * 2 * 1.5 * 0.25  # steepest: 1.5 times the difference of 2
    assert np.abs(noise(x, y, 4) - values).mean() > 0.2
    at = np.array([[0.0, 1.0, -3.0]], np.float32), np.array([[0.0, 2.0, 7.0]], np.float32)
    expected = [lattice(0, 0, 5), lattice(1, 2, 5), lattice(-3, 7, 5)]
    assert noise(*at, 5)[0].tolist() == expected


def lattice(column: int, row: int, seed: int) -> float:
    """The hash in Python's unbounded integers."""
    h = (column * 0x9E3779B1 + row * 0x85EBCA77 + seed) % 2**32
    h = (h ^ h >> 15) * 0x2C1B3C6D % 2**32
    h = (h ^ h >> 12) * 0x297A2D39 % 2**32
    return (h >> 8) / 2**23 - 1


def test_noise_between_lattice_points_is_the_cubic_blend() -> None:
    for x, y in ((2.25, 4.5), (-0.875, 3.0), (10.5, -7.125)):
        i, j = int(np.floor(x)), int(np.floor(y))
        u, v = (3 * t * t - 2 * t**3 for t in (x - i, y - j))
        corners = [[lattice(i + a, j + b, 1) for a in (0, 1)] for b in (0, 1)]
        upper, lower = (row[0] * (1 - u) + row[1] * u for row in corners)
        found = noise(np.array([[x]], np.float32), np.array([[y]], np.float32), 1)[0, 0]
        assert found == pytest.approx(upper * (1 - v) + lower * v, abs=1e-6)


@pytest.mark.parametrize("material", [paper, cloth])
def test_materials_vary_about_one(material) -> None:
    values = material(*grid(100, 1.0 if material is paper else 4.0), 7)
    assert abs(values.mean() - 1) < 0.03
    assert 0.01 < values.std() < 0.15


def test_surfaces_depend_on_the_scene_but_not_on_its_motion() -> None:
    rest, moving = (
        Thing("star", "red", "small", "plain", 300, 300, 130),
        Thing("ring", "blue", "small", "plain", 700, 700, 130, motion="left"),
    )
    scene = Scene((rest, moving), "white")
    assert key(scene) == key(Scene((rest, replace(moving, x=600)), "white"))
    others = [Scene((replace(rest, x=310), moving), "white"), Scene((rest, moving), "grey"), Scene((rest,), "white")]
    assert len({key(s) for s in [scene, *others]}) == 4
