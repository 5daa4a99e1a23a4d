"""What holds for every style: form, masks, boxes, depth, refusals, and pinned pixels."""

import hashlib
import pickle

import numpy as np
import pytest

from dovetail.data.records import DataError
from dovetail.data.worlds import Sampler, Scene, Thing
from dovetail.data.worlds.facts import VIEWPOINTS
from dovetail.data.worlds.pictures.render import BACKGROUND_RGB, RGB
from dovetail.data.worlds.pictures.styles import STYLES

SAMPLER = Sampler((1, 5), alike=0.3, writing=0.3, viewpoints=VIEWPOINTS)
SCENES = [SAMPLER(8, i) for i in range(12)]
EVERY = pytest.mark.parametrize("name", list(STYLES))


@EVERY
def test_pictures_are_pinned(name: str) -> None:
    digest = hashlib.sha256()
    for size, scene in zip((64, 64, 64, 64, 64, 97), SCENES, strict=False):
        picture = STYLES[name](scene, size)
        digest.update(picture.image.tobytes() + picture.mask.tobytes() + repr(picture.boxes).encode())
        assert picture.depth is not None
        digest.update(picture.depth.tobytes())
    assert digest.hexdigest() == GOLDEN[name]


@EVERY
@pytest.mark.parametrize("size", [16, 50])
def test_form(name: str, size: int) -> None:
    picture = STYLES[name](SCENES[3], size)
    assert picture.image.shape == (size, size, 3)
    assert picture.image.dtype == picture.mask.dtype == np.uint8
    assert picture.depth is not None
    assert picture.mask.shape == picture.depth.shape == (size, size)
    assert picture.depth.dtype == np.float32
    assert len(picture.boxes) == len(SCENES[3].things)
    assert np.isfinite(picture.depth).all()


@EVERY
def test_masks_show_every_thing_within_its_box(name: str) -> None:
    for scene in SCENES:
        picture = STYLES[name](scene, 64)
        assert set(np.unique(picture.mask)) == set(range(len(scene.things) + 1))
        for k, (left, top, right, bottom) in enumerate(picture.boxes):
            rows, cols = np.nonzero(picture.mask == k + 1)
            assert 0 <= left * 64 <= cols.min()
            assert cols.max() < right * 64 <= 64
            assert 0 <= top * 64 <= rows.min()
            assert rows.max() < bottom * 64 <= 64
            assert (right - left) * (bottom - top) * 64**2 <= 2.2 * ((rows.max() - rows.min() + 1) ** 2)


@EVERY
def test_things_are_nearer_than_what_is_behind_them(name: str) -> None:
    far = Thing("square", "red", "large", "plain", 500, 500, 300, 0, depth=1)
    near = Thing("circle", "blue", "small", "plain", 500, 500, 110, 0, depth=0)
    for things in ((far, near), (near, far)):
        picture = STYLES[name](Scene(things, "white"), 64)
        assert picture.depth is not None
        ahead, behind = things.index(near) + 1, things.index(far) + 1
        assert picture.mask[32, 32] == ahead
        assert picture.mask[32, 44] == behind
        depths = [picture.depth[picture.mask == k] for k in (ahead, behind, 0)]
        assert np.median(depths[0]) < np.median(depths[1]) < np.median(depths[2])
        box_ahead, box_behind = picture.boxes[ahead - 1], picture.boxes[behind - 1]
        assert box_behind[0] < box_ahead[0] < box_ahead[2] < box_behind[2]


@EVERY
def test_the_background_of_a_scene_is_the_nearest_of_the_named_ones(name: str) -> None:
    for scene in SCENES:
        picture = STYLES[name](scene, 64)
        rows, cols = np.mgrid[:64, :64]
        middle = np.maximum(np.abs(rows - 31.5), np.abs(cols - 31.5)) < 25
        seen = np.median(picture.image[middle & (picture.mask == 0)], 0)
        assert nearest(seen, BACKGROUND_RGB) == scene.background
        for k, thing in enumerate(scene.things):
            if thing.texture == "plain":
                assert nearest(np.median(picture.image[picture.mask == k + 1], 0), RGB) == thing.colour


def nearest(colour: np.ndarray, named: dict[str, tuple[int, int, int]]) -> str:
    return min(named, key=lambda name: float(np.square(colour - np.array(named[name])).sum()))


@EVERY
def test_a_size_that_shows_nothing_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="at least 16"):
        STYLES[name](SCENES[0], 15)


@EVERY
def test_a_style_is_data(name: str) -> None:
    style = STYLES[name]
    assert pickle.loads(pickle.dumps(style)) == style
    assert [n for n, other in STYLES.items() if other == style] == [name]


GOLDEN = {
    "flat": "bc138ffa69526149034f1909cfac954459f0f33334448c3676e188181e9706a9",
    "textured": "bfe6c311efaeee8446ae4828cac1d55ee30f5806a5510b98afb21011a4e67c39",
    "solid": "330066b314a0b8424050997fc0dab1ea1146c27ab17bd108dc6961ad861e361b",
}
