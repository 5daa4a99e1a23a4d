"""The solid style against a camera written again in float64: masks, depth, shading, and facts from every viewpoint."""

from math import cos, radians, sin

import numpy as np
import pytest

from dovetail.data.worlds import Sampler, Scene, Thing, Vocabulary
from dovetail.data.worlds.facts import SHAPES, VIEWPOINTS
from dovetail.data.worlds.pictures import shapes as outlines
from dovetail.data.worlds.pictures.camera import CAMERAS, Space
from dovetail.data.worlds.pictures.relief import THICK, Relief
from dovetail.data.worlds.pictures.solid import Solid, reliefs

EVERY = pytest.mark.parametrize("viewpoint", VIEWPOINTS)
BALANCED = Vocabulary(shapes=("circle", "square", "cross", "ring", "star"))  # their middle is where they are
ANGLES = {"front": (0, 0), "left": (-25, 0), "right": (25, 0), "above": (0, -25), "below": (0, 25)}


def project(points: np.ndarray, viewpoint: str) -> tuple[np.ndarray, np.ndarray]:
    """Points (n 3) of a scene as picture coordinates (n 2) (0..1), and their distances: rotate and divide."""
    across, down = (radians(a) for a in ANGLES[viewpoint])
    turn_y = np.array([[cos(across), 0, -sin(across)], [0, 1, 0], [sin(across), 0, cos(across)]])
    turn_x = np.array([[1, 0, 0], [0, cos(down), -sin(down)], [0, sin(down), cos(down)]])
    x, y, z = (turn_x @ turn_y @ (points - [500, 500, 50]).T) - [[0], [0], [3000]]
    return np.stack([x, y], 1) / -z[:, None] * (3000 / 1090) + 0.5, np.sqrt(x * x + y * y + z * z)


def one(shape: str, viewpoint: str, rotation: int = 0) -> Scene:
    return Scene((Thing(shape, "red", "large", "plain", 430, 560, 240, rotation),), "white", viewpoint=viewpoint)


def centroid(mask: np.ndarray, k: int) -> tuple[float, float]:
    rows, cols = np.nonzero(mask == k)
    return float(cols.mean() + 0.5) / len(mask), float(rows.mean() + 0.5) / len(mask)


@pytest.mark.parametrize(
    ("shape", "viewpoint"), [*zip(SHAPES, VIEWPOINTS * 2, strict=False), *(("star", v) for v in VIEWPOINTS)]
)
def test_the_mask_is_the_shadow_of_the_volume(shape: str, viewpoint: str) -> None:
    """Points strewn over the volume fall on the mask, and nearly all of the mask is hit by some."""
    scene, size = one(shape, viewpoint, 13), 64
    thing, (solid,) = scene.things[0], reliefs(scene)
    strewn = np.random.default_rng(0).uniform(-1, 1, (40_000, 3))
    x, y = strewn[:, :1].astype(np.float32), strewn[:, 1:2].astype(np.float32)
    inside = strewn[outlines.SIGNED_DISTANCE[shape](x, y)[:, 0] < -0.1]  # of the part that is not rounded
    c, s = cos(radians(13)), sin(radians(13))
    turned = np.stack([inside[:, 0] * c - inside[:, 1] * s, inside[:, 1] * c + inside[:, 0] * s], 1)
    height = solid.lift + THICK / 2 * (1 + inside[:, 2])
    at, _ = project(np.column_stack([turned * thing.radius + [thing.x, thing.y], height]), viewpoint)
    cols, rows = np.floor(at * size).astype(int).T
    mask = Solid()(scene, size).mask == 1
    hit = np.zeros_like(mask)
    hit[rows, cols] = True
    grown = sum(np.roll(mask, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) > 0
    reached = sum(np.roll(hit, (i, j), (0, 1)) for i in (-2, -1, 0, 1, 2) for j in (-2, -1, 0, 1, 2)) > 0
    assert (hit & ~grown).sum() == 0
    assert (mask & ~reached).sum() <= 0.05 * mask.sum()  # thin points, which the rounding leaves out


@EVERY
def test_depth_is_the_distance_from_the_camera(viewpoint: str) -> None:
    scene, size = one("circle", viewpoint), 64
    picture = Solid()(scene, size)
    (solid,) = reliefs(scene)
    points = np.array([[430, 560, solid.lift + THICK], [470, 530, solid.lift + THICK], [850, 200, 0], [90, 120, 0]])
    at, distance = project(points, viewpoint)
    for (x, y), expected, owner in zip(at, distance, (1, 1, 0, 0), strict=True):
        row, col = int(y * size), int(x * size)
        assert picture.mask[row, col] == owner
        assert picture.depth is not None
        assert picture.depth[row, col] == pytest.approx(expected, abs=6)  # half a pixel of a wall that recedes


@EVERY
def test_the_camera_sees_points_where_its_rays_go(viewpoint: str) -> None:
    camera = CAMERAS[viewpoint]
    points = np.array([[100.0, 200.0, 0.0], [900.0, 650.0, 80.0], [500.0, 500.0, 50.0]])
    for point, (x, y) in zip(points, project(points, viewpoint)[0], strict=True):
        assert camera.seen(tuple(point.tolist())) == pytest.approx((x, y), abs=1e-6)
        row, col = int(y * 1000), int(x * 1000)
        ray = camera.rays(slice(row, row + 1), slice(col, col + 1), 1000)
        away = point - np.array(camera.position)
        away /= np.linalg.norm(away)
        assert [float(part[0, 0]) for part in ray] == pytest.approx(away.tolist(), abs=3e-4)


@EVERY
def test_relations_and_places_hold(viewpoint: str) -> None:
    sampler = Sampler((2, 5), BALANCED, viewpoints=(viewpoint,))
    for scene in (sampler(2, i) for i in range(8)):
        mask = Solid()(scene, 64).mask
        at = {thing: centroid(mask, k + 1) for k, thing in enumerate(scene.things)}
        for a, name, b in scene.relations:
            across, down = at[b][0] - at[a][0], at[b][1] - at[a][1]
            assert (across > abs(down)) if name == "left of" else (down > abs(across))
        for thing, (x, y) in at.items():
            if thing.place is not None:
                row, column = [sum(p > edge for edge in (0.415, 0.585)) for p in (y, x)]
                places = (("upper left", "top", "upper right"), ("left", "centre", "right"))
                assert thing.place == (*places, ("lower left", "bottom", "lower right"))[row][column]


@EVERY
def test_everything_is_in_the_picture(viewpoint: str) -> None:
    sampler = Sampler((4, 6), viewpoints=(viewpoint,))
    for scene in (sampler(4, i) for i in range(4)):
        for left, top, right, bottom in Solid()(scene, 64).boxes:
            assert 0 < left < right < 1
            assert 0 < top < bottom < 1


def test_viewpoints_show_other_sides() -> None:
    pictures = {v: Solid()(one("square", v), 64) for v in VIEWPOINTS}
    images = [p.image.astype(int) for p in pictures.values()]
    assert all(np.abs(a - b).mean() > 3 for i, a in enumerate(images) for b in images[:i])
    widths = {v: p.boxes[0][2] - p.boxes[0][0] for v, p in pictures.items()}
    assert widths["left"] < widths["front"] * 1.02
    assert pictures["front"].image.shape == (64, 64, 3)


def test_light_comes_from_the_upper_left_and_shadows_fall_to_the_lower_right() -> None:
    scene = Scene((Thing("circle", "red", "large", "plain", 500, 500, 250),), "white")
    picture = Solid()(scene, 128)
    grey = picture.image.astype(float).mean(2)
    (left, top, right, bottom) = (round(edge * 128) for edge in picture.boxes[0])
    row, col = (top + bottom) // 2, (left + right) // 2
    assert grey[top + 2, col] > grey[bottom - 3, col] + 20
    assert grey[row, left + 2] > grey[row, right - 3] + 10
    assert grey[bottom + 1, col] < grey[top - 3, col] - 40
    assert grey[row, right + 1] < grey[row, left - 3] - 20


@pytest.mark.parametrize("shape", SHAPES)
def test_normals_are_the_gradient_of_the_distance(shape: str) -> None:
    solid = Relief(Thing(shape, "red", "large", "plain", 500, 500, 240, 20), 10.0)
    camera = CAMERAS["left"]
    rays = camera.rays(slice(0, 48), slice(0, 48), 48)
    along = solid.hit(camera.position, rays)
    hit = np.isfinite(along)
    at = [c + r[hit][None] * along[hit][None] for c, r in zip(camera.position, rays, strict=True)]
    own = solid.own(Space(*(p.astype(np.float32) for p in at)))
    assert np.abs(solid.distance(own)).max() < 0.03
    normal = np.stack([n[0] for n in solid.normal(own)], 1)
    assert np.linalg.norm(normal, axis=1) == pytest.approx(1, abs=1e-3)
    step = 2.0  # in the scene's unit
    slopes = []
    for axis in range(3):
        ahead, back = ([p + step * sign * (k == axis) for k, p in enumerate(at)] for sign in (1, -1))
        parts = [solid.distance(solid.own(Space(*(p.astype(np.float32) for p in q)))) for q in (ahead, back)]
        slopes.append((parts[0] - parts[1])[0] * 240 / (2 * step))
    agree = (normal * np.stack(slopes, 1)).sum(1)
    assert (agree > 0.95).mean() > 0.9  # all but along creases
