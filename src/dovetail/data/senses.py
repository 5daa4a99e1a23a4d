"""What other sensors saw of a picture, shown as the picture is: its depth, and its frames over time."""

from dataclasses import replace

import torch
from jaxtyping import UInt8
from torch import Tensor

from dovetail.data.images import ImageProblem, decode
from dovetail.data.preprocessing import Preprocessing, View
from dovetail.data.records import ImageLike, Record

FRAMES = 8
"""Of a video, evenly spaced from its first to its last; a shorter one shows some of them more than once."""

FAR = (255, 255, 255)


def depth(record: Record, how: Preprocessing, view: View) -> UInt8[Tensor, "1 1 s s"] | None:
    """The depth of the part of the picture that a view shows, in bytes, 0 nearest; None for a record without.

    Colours are no matter of depth; around a picture that does not fill the square it is farthest. Raises ImageProblem.
    """
    if record.depth is None:
        return None
    plain = replace(view, colour=(1.0, 1.0, 1.0))
    return _shown(record.depth, replace(how, ground=FAR), plain, "depth")[None, :1]


def video(record: Record, how: Preprocessing, view: View) -> UInt8[Tensor, "f 3 s s"] | None:
    """The FRAMES of a record's video, each as the view shows the picture; None for a record without.

    Raises ImageProblem.
    """
    if not record.video:
        return None
    last = len(record.video) - 1
    chosen = [record.video[round(i * last / (FRAMES - 1))] for i in range(FRAMES)]
    return torch.stack([_shown(frame, how, view, "video") for frame in chosen])


def _shown(image: ImageLike, how: Preprocessing, view: View, sense: str) -> UInt8[Tensor, "3 s s"]:
    try:
        return how.render(decode(image), view)
    except ImageProblem as problem:
        raise ImageProblem(f"{sense}: {problem.cause}", problem.detail, problem.name) from problem
