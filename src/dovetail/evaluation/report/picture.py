"""A still picture of the report's queries with their best images, for a README."""

import os
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from PIL import Image, ImageOps

from dovetail.evaluation.report.content import ImageHit, TextQuery
from dovetail.evaluation.report.figures import score
from dovetail.evaluation.report.texts import clip

SIDE = 150  # pixels of a photo; the lengths below are in the same unit
GAP, TEXT, EDGE, ROW = 14, 290, 28, 188
SHARPNESS = 2  # pixels of the file per unit, for dense screens


@dataclass(frozen=True)
class Palette:
    """The colours of the picture."""

    paper: str
    ink: str
    muted: str
    right: str


LIGHT = Palette(paper="#ffffff", ink="#1d2125", muted="#646a71", right="#0b8762")
DARK = Palette(paper="#0d1117", ink="#e8e8e4", muted="#9aa1a9", right="#42c59a")


def write_picture(queries: Sequence[TextQuery], path: str | Path, palette: Palette = LIGHT) -> Path:
    """Writes a PNG, a row a query: its text, then its images with their scores, right ones framed. Returns the path."""
    columns = max((len(q.hits) for q in queries), default=1)
    width = 2 * EDGE + TEXT + columns * (SIDE + GAP) - GAP
    height = 2 * EDGE + max(1, len(queries)) * ROW - (ROW - SIDE - 24)
    settings: dict[Any, Any] = {"font.family": ["DejaVu Sans"], "text.parse_math": False}
    target = Path(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*missing from font.*")  # an emoji may well be
        figure = Figure(figsize=(width / 72, height / 72), dpi=72, facecolor=palette.paper)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(height, 0))
        axes.axis("off")
        for row, query in enumerate(queries):
            _draw(axes, query, EDGE + row * ROW, palette)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            figure.savefig(beside, format="png", dpi=72 * SHARPNESS, facecolor=palette.paper)
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)
    return target


def _draw(axes: Axes, query: TextQuery, top: int, palette: Palette) -> None:
    lines = textwrap.wrap(clip(query.text, 150), 28) or [""]
    axes.text(EDGE, top + SIDE / 2, "\n".join(lines), color=palette.ink, fontsize=16, va="center", linespacing=1.35)
    for column, hit in enumerate(query.hits):
        _draw_hit(axes, hit, EDGE + TEXT + column * (SIDE + GAP), top, palette)


def _draw_hit(axes: Axes, hit: ImageHit, left: int, top: int, palette: Palette) -> None:
    side = SIDE * SHARPNESS
    photo = ImageOps.fit(hit.image.convert("RGB"), (side, side), Image.Resampling.LANCZOS)
    axes.imshow(np.asarray(photo), extent=(left, left + SIDE, top + SIDE, top), aspect="auto")
    style: dict[str, Any] = {"color": palette.muted}
    if hit.right:
        style = {"color": palette.right, "weight": "bold"}
        axes.add_patch(
            Rectangle((left - 2, top - 2), SIDE + 4, SIDE + 4, fill=False, edgecolor=palette.right, linewidth=5)
        )
        _draw_tick(axes, left + SIDE - 16, top + 16, palette)
    axes.text(left + SIDE / 2, top + SIDE + 17, score(hit.score), fontsize=11, ha="center", **style)


def _draw_tick(axes: Axes, x: int, y: int, palette: Palette) -> None:
    """A tick in a disc, so that the frame's colour is not all that tells right from wrong."""
    axes.add_patch(Circle((x, y), 12, facecolor=palette.right, edgecolor="white", linewidth=1.5))
    strokes = ([x - 5, x - 1.5, x + 5.5], [y, y + 4, y - 4.5])
    axes.plot(*strokes, color="white", linewidth=2.4, solid_capstyle="round")
