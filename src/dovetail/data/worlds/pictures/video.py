"""A scene's motion as a video: its frames in any style, with the mask and the boxes of each."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from dovetail.data.records import DataError
from dovetail.data.worlds.facts import Scene
from dovetail.data.worlds.motions import after
from dovetail.data.worlds.pictures.render import Box, Flat, Style


@dataclass(frozen=True)
class Video:
    """A scene over time. Frame 0 is its still picture."""

    frames: UInt8[np.ndarray, "t h w 3"]
    masks: UInt8[np.ndarray, "t h w"]  # 0 is the background, k + 1 the scene's thing k
    boxes: tuple[tuple[Box, ...], ...]  # of each frame, of each thing, as in Picture


def video(scene: Scene, frames: int = 8, size: int = 64, style: Style = Flat()) -> Video:  # noqa: B008 (frozen)
    """`frames` pictures of `size` x `size` pixels, evenly spaced over the motion; all alike where nothing moves.

    Raises DataError for fewer than two frames, and where the style refuses the size.
    """
    if frames < 2:
        raise DataError(f"frames={frames}: expected at least 2, the least that shows a motion")
    pictures = [style(after(scene, part, frames - 1), size) for part in range(frames)]
    return Video(
        np.stack([p.image for p in pictures]), np.stack([p.mask for p in pictures]), tuple(p.boxes for p in pictures)
    )
