"""Matplotlib drawings as SVG that takes its colours and its typeface from the page around it."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Drawn in these placeholders; the page's style sheet decides what they look like, in a light and in a dark scheme.
INK, MUTED, HAIR, FIRST, SECOND = (f"#0a0a0{n}" for n in range(1, 6))
NAMES = {INK: "ink", MUTED: "muted", HAIR: "hair", FIRST: "first", SECOND: "second"}
SERIES = (FIRST, SECOND, MUTED)

SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.image_inline": True,
    "text.parse_math": False,
    "font.size": 11.0,
    "text.color": INK,
    "axes.edgecolor": HAIR,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": HAIR,
    "grid.linewidth": 1.0,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "xtick.minor.size": 0.0,
    "ytick.minor.size": 0.0,
    "lines.solid_capstyle": "round",
    "axes.unicode_minus": True,
}


@contextmanager
def drawing(name: str) -> Iterator[None]:
    """Our settings, for as long as a chart is made and written. `name` keeps the ids of two charts of a page apart."""
    with matplotlib.rc_context({**SETTINGS, "svg.hashsalt": name}):
        yield


def canvas(width: int, height: int, left: int, bottom: int) -> tuple[Figure, Axes]:
    """A figure of so many pixels with one axes, these margins beside and below it, hair lines across and no frame."""
    top, right = 14, 16
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    box = (left / width, bottom / height, (width - left - right) / width, (height - top - bottom) / height)
    axes = figure.add_axes(box)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.tick_params(pad=6)
    return figure, axes


def to_svg(figure: Figure, label: str) -> Markup:
    """The figure as an `<svg>` element with `label` as its accessible name."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})  # the same bytes every time
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)  # it would style the whole page
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    text = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", text)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # every chart would bring the same ids
    text = re.sub(r' transform="rotate\(-0 [^"]*"', "", text)
    text = text.replace("xlink:href", "href").replace("\n", " ")
    text = re.sub(r"  +", " ", text)
    for colour, name in NAMES.items():
        text = text.replace(colour, f"var(--{name})")
    viewbox = re.search(r'viewBox="[^"]+"', text)
    body = text[text.index(">", text.index("<svg")) + 1 :]
    opening = f'<svg class="chart" role="img" aria-label="{escape(label)}" {viewbox.group() if viewbox else ""}>'
    return Markup(opening + body.strip())  # matplotlib escapes the texts it writes
