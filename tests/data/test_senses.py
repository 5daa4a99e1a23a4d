"""Depth and video are shown as the picture is, and are counted by name when they cannot be."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dovetail.data import senses
from dovetail.data.images import ImageProblem
from dovetail.data.preprocessing import Preprocessing, View
from dovetail.data.records import ImageLike, Record

HOW = Preprocessing(size=8, interpolation="nearest")
WHOLE = HOW.whole(16, 16)
RIGHT_HALF_MIRRORED = View((0.5, 0.0, 1.0, 1.0), (0, 0, 8, 8), True, (0.2, 1.0, 1.0))
RAMP = np.linspace(0, 65535, 16).astype(np.uint16)[None].repeat(16, 0)  # near on the left


def record(depth: ImageLike | None = None, video: tuple[ImageLike, ...] = ()) -> Record:
    return Record(np.zeros((16, 16, 3), np.uint8), (), "one", 1, depth=depth, video=video)


def frame(level: int) -> np.ndarray:
    return np.full((16, 16, 3), level, np.uint8)


def test_depth_of_16_bits_as_bytes(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "depth.png")
    for depth in (RAMP, tmp_path / "depth.png", (RAMP // 257).astype(np.uint8)):
        seen = senses.depth(record(depth), HOW, WHOLE)
        assert seen is not None and seen.shape == (1, 1, 8, 8) and seen.dtype == torch.uint8
        row = seen[0, 0, 0].tolist()
        assert row == sorted(row) and row[0] < 20 and row[-1] > 235


def test_depth_follows_the_part_and_the_mirroring_but_not_the_colour() -> None:
    seen = senses.depth(record(RAMP), HOW, RIGHT_HALF_MIRRORED)
    assert seen is not None
    row = seen[0, 0, 0].tolist()
    assert row == sorted(row, reverse=True) and row[0] == 255 and row[-1] > 127


def test_around_a_padded_picture_it_is_far() -> None:
    how = Preprocessing(size=8, resize="pad")
    seen = senses.depth(record(np.zeros((8, 16), np.uint8)), how, how.whole(16, 8))
    assert seen is not None
    assert seen[0, 0].tolist() == [[255] * 8] * 2 + [[0] * 8] * 4 + [[255] * 8] * 2


@pytest.mark.parametrize(
    ("levels", "shown"),
    [
        (range(8), list(range(8))),
        (range(15), [0, 2, 4, 6, 8, 10, 12, 14]),
        ((7,), [7] * 8),
        ((0, 9), [0] * 4 + [9] * 4),
    ],
)
def test_a_video_has_as_many_frames_as_any_other(levels: range, shown: list[int]) -> None:
    seen = senses.video(record(video=tuple(map(frame, levels))), HOW, WHOLE)
    assert seen is not None and seen.shape == (senses.FRAMES, 3, 8, 8)
    assert seen[:, 0, 0, 0].tolist() == shown


def test_a_record_without() -> None:
    assert senses.depth(record(), HOW, WHOLE) is None and senses.video(record(), HOW, WHOLE) is None


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageProblem) as refused:
        senses.depth(record(tmp_path / "none.png"), HOW, WHOLE)
    assert refused.value.cause == "depth: missing image"
    with pytest.raises(ImageProblem, match="video: not an image"):
        senses.video(record(video=(b"<html>",)), HOW, WHOLE)
