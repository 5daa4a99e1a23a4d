"""Videos: the thing that moves goes where the facts say, and everything else rests."""

import hashlib
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from dovetail.data.records import DataError
from dovetail.data.worlds import Sampler, Scene, Thing, Vocabulary
from dovetail.data.worlds.facts import MOTIONS, VIEWPOINTS
from dovetail.data.worlds.motions import after, extent
from dovetail.data.worlds.pictures.styles import STYLES
from dovetail.data.worlds.pictures.video import Video, video

DIRECTIONS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
BALANCED = Vocabulary(shapes=("circle", "square", "cross", "ring", "star"))


def moving(scene: Scene) -> int:
    (k,) = (k for k, t in enumerate(scene.things) if t.motion)
    return k


def centroids(film: Video, k: int) -> np.ndarray:
    return np.array([[np.nonzero(m == k + 1)[1].mean(), np.nonzero(m == k + 1)[0].mean()] for m in film.masks])


def with_motion(motion: str, viewpoint: str = "front") -> list[Scene]:
    return [s for s in drawn(viewpoint) if s.things[moving(s)].motion == motion][:2]


@cache
def drawn(viewpoint: str) -> list[Scene]:
    sampler = Sampler((1, 3), BALANCED, motion=1.0, viewpoints=(viewpoint,))
    return [sampler(6, i) for i in range(40)]


@pytest.mark.parametrize("name", list(STYLES))
def test_videos_are_pinned(name: str) -> None:
    digest = hashlib.sha256()
    for index in range(3):
        film = video(Sampler((2, 3), motion=1.0, viewpoints=VIEWPOINTS)(7, index), 4, 48, STYLES[name])
        digest.update(film.frames.tobytes() + film.masks.tobytes() + repr(film.boxes).encode())
    assert digest.hexdigest() == GOLDEN[name]


@pytest.mark.parametrize("name", list(STYLES))
def test_form_and_the_first_frame_is_the_still_picture(name: str) -> None:
    scene = Sampler((2, 3), motion=1.0)(7, 0)
    film, still = video(scene, 5, 32, STYLES[name]), STYLES[name](scene, 32)
    assert film.frames.shape == (5, 32, 32, 3)
    assert film.masks.shape == (5, 32, 32)
    assert len(film.boxes) == 5
    assert (film.frames[0] == still.image).all()
    assert (film.masks[0] == still.mask).all()
    assert film.boxes[0] == still.boxes
    assert (film.frames[-1] != still.image).any()


@pytest.mark.parametrize("motion", list(DIRECTIONS))
def test_it_goes_in_its_direction_and_the_rest_rests(motion: str) -> None:
    across, down = DIRECTIONS[motion]
    scenes = with_motion(motion)
    assert scenes
    for scene in scenes:
        film, k = video(scene), moving(scene)
        steps = np.diff(centroids(film, k), axis=0)
        assert (steps @ [across, down] > 0.5).all()
        assert np.abs(steps @ [down, across]).max() < 0.5
        assert np.abs(centroids(film, k)[-1] - centroids(film, k)[0]).max() >= 0.118 * 64
        for other in range(len(scene.things)):
            if other != k:
                assert (film.masks == other + 1).any((1, 2)).all()
                assert ((film.masks == other + 1) == (film.masks[0] == other + 1)).all()
                assert {boxes[other] for boxes in film.boxes} == {film.boxes[0][other]}
        swept = (film.masks == k + 1).any(0)
        near = range(-3, 4)  # points too thin for the mask are painted all the same
        swept = sum(np.roll(swept, (i, j), (0, 1)) for i in near for j in near) > 0
        assert (film.frames[:, ~swept] == film.frames[:1, ~swept]).all()


@pytest.mark.parametrize("viewpoint", VIEWPOINTS)
@pytest.mark.parametrize("motion", list(DIRECTIONS))
def test_it_goes_there_seen_from_everywhere(motion: str, viewpoint: str) -> None:
    across, down = DIRECTIONS[motion]
    scenes = with_motion(motion, viewpoint)[:1]
    assert scenes
    for scene in scenes:
        path = centroids(video(scene, 3, 64, STYLES["solid"]), moving(scene))
        way = path[-1] - path[0]
        assert way @ [across, down] > 5
        assert abs(way @ [down, across]) < 0.3 * (way @ [across, down])


@pytest.mark.parametrize(("motion", "sign"), [("growing", 1), ("shrinking", -1)])
def test_it_grows_or_shrinks_where_it_is(motion: str, sign: int) -> None:
    scenes = with_motion(motion)
    assert scenes
    for scene in scenes:
        film, k = video(scene), moving(scene)
        areas = [(m == k + 1).sum() for m in film.masks]
        assert (sign * np.diff(areas) >= 0).all()
        assert (areas[-1] > 1.4 * areas[0]) if sign > 0 else (areas[-1] < 0.6 * areas[0])
        assert np.abs(centroids(film, k) - centroids(film, k)[0]).max() < 1


def test_turning_is_clockwise_about_the_middle() -> None:
    scene = Scene((Thing("crescent", "red", "large", "plain", 500, 500, 300, motion="turning"),), "white")
    film = video(scene, 5)
    offsets = centroids(film, 0) - 31.5
    angles = np.unwrap(np.arctan2(offsets[:, 1], offsets[:, 0]))  # y points down: clockwise is upwards
    assert np.degrees(np.diff(angles)) == pytest.approx(30, abs=4)


def test_nothing_is_covered_on_the_way() -> None:
    for index in range(10):
        scene = Sampler((3, 6), motion=1.0, writing=0.3)(12, index)
        for part in range(8):
            things = after(scene, part, 7).things
            mover = things[moving(scene)]
            assert mover.radius <= mover.x <= 1000 - mover.radius
            assert mover.radius <= mover.y <= (820 if scene.writing else 1000) - mover.radius
            for other in (t for t in things if t is not mover):
                assert (mover.x - other.x) ** 2 + (mover.y - other.y) ** 2 >= (mover.radius + other.radius) ** 2


def test_what_cannot_be_seen_is_not_a_motion() -> None:
    corner = Thing("circle", "red", "large", "plain", 250, 250, 250)
    scene = Scene((corner,), "white")
    found = {motion: extent(scene, corner, motion) for motion in MOTIONS}
    assert found["left"] == found["up"] == found["turning"] == found["growing"] == 0
    assert found["right"] == found["down"] == 320
    blocked = Scene((corner, replace(corner, x=750)), "white")
    assert extent(blocked, corner, "right") == 0


def test_a_scene_at_rest_stays_as_it_is() -> None:
    film = video(Sampler((2, 2))(0, 0), 3)
    assert (film.frames == film.frames[0]).all()


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(DataError, match="expected at least 2"):
        video(Sampler()(0, 0), 1)


GOLDEN = {
    "flat": "308307de053896a3b6ee0e99ad286e62704140a56558159598aad746d9f6acf9",
    "textured": "c3f75d5c7da825446e208288f09dd323290b2cf39688fcf6c9237fc35756b1f6",
    "solid": "2a93f3d5d8408461c72546aadf1a1878ea7ba480adfeabe251a0649e4bfea450",
}
