"""What a captioner says of a scene, and what other sensors see of it."""

from dataclasses import replace

import numpy as np
import pytest

from dovetail.contracts import Kind
from dovetail.data.records import DataError
from dovetail.data.worlds import STYLES, Noise, Sampler, Scenes, Telling, World
from dovetail.data.worlds.pictures.video import video

MOVING = Sampler((2, 3), motion=0.5)


def test_a_captioner_makes_no_mistakes_and_leaves_the_others_as_they_were() -> None:
    noise, told = Noise(wrong=0.3, missing=0.3), ("short", "full", "alt")
    noisy = Scenes(40, 3, 16, World(telling=Telling((*told, "long"), noise, synthetic=("alt", "long"))))
    alone = Scenes(40, 3, 16, World(telling=Telling(told[:2], noise)))
    clean = Scenes(40, 3, 16, World(telling=Telling(told)))
    for mixed, raw, true in zip(noisy, alone, clean, strict=True):
        alt, long = mixed.captions[-2:]
        assert mixed.captions[:-2] == raw.captions
        assert alt == replace(true.captions[2], kind=Kind.SYNTHETIC) and long.kind == Kind.SYNTHETIC
        assert mixed.extra["caption_noise"] == (*raw.extra["caption_noise"], None, None)
    assert any(record.extra["wrong_captions"] for record in noisy)


def test_records_have_the_senses_that_are_asked_for() -> None:
    plain = Scenes(8, 2, 24, World(MOVING, STYLES["solid"]))
    sensed = Scenes(8, 2, 24, World(MOVING, STYLES["solid"], senses=("depth", "video")))
    moved = 0
    for before, record in zip(plain, sensed, strict=True):
        assert before.depth is None and before.video == () and before.captions == record.captions
        picture = STYLES["solid"](record.extra["scene"], 24)
        assert isinstance(record.depth, np.ndarray) and record.depth.dtype == np.uint8
        assert record.depth.min() == 0 and record.depth.max() == 255
        things = record.depth[picture.mask > 0]
        assert things.max() < np.median(record.depth[picture.mask == 0])  # in front of the wall
        assert (np.argsort(picture.depth, None)[0] == np.flatnonzero(record.depth.ravel() == 0)).any()
        if any(t.motion for t in record.extra["scene"].things):
            moved += 1
            frames = video(record.extra["scene"], size=24, style=STYLES["solid"]).frames
            assert len(record.video) == 8 and (np.stack(record.video) == frames).all()
            assert (record.video[0] == record.image).all()
        else:
            assert record.video == ()
    assert 0 < moved < 8


def test_the_order_of_things_where_a_style_has_no_distances() -> None:
    record = Scenes(1, 0, 24, World(Sampler((3, 3)), senses=("depth",)))[0]
    assert isinstance(record.depth, np.ndarray)
    assert len(np.unique(record.depth)) == 4 and record.depth[0, 0] == 255 and record.depth.min() == 0


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(DataError, match="unknown senses: touch; there are depth, video"):
        World(senses=("touch",))
    with pytest.raises(DataError, match="synthetic: long not among the captions told, short"):
        Telling(("short",), synthetic=("long",))
