"""The drawings of a comparison: a dot with its interval for every contender, and the curves of their training."""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dovetail.evaluation.comparison import Comparison, Contender, spoken
from dovetail.evaluation.report.svg import FIRST, HAIR, INK, MUTED, SECOND, drawing, to_svg
from dovetail.evaluation.report.texts import clip

WIDTH, ROW = 720, 34
NAME, VALUE, ENDS = 190, 150, 62  # room for the names, for the values, and above and below the rows
PANEL, COLUMNS = 150, 3
# Light and dark, as in style.css.
COLOURS = {
    "paper": ("#ffffff", "#15171a"),
    "ink": ("#1d2125", "#e7e7e3"),
    "muted": ("#646a71", "#9ba1a8"),
    "hair": ("#e3e3de", "#2f3338"),
    "first": ("#1f5c9e", "#7fb2ea"),
    "second": ("#c2630a", "#eda35c"),
}


def dots(comparison: Comparison) -> Markup:
    """The main figure of every contender with its 95 % interval, a line at chance, and pale dots for single seeds."""
    every = comparison.contenders
    height = ENDS + ROW * len(every)
    share = every[0].figures[comparison.main].share
    scale = 100 if share else 1
    with drawing("contenders"), _any_letters():
        figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
        box = (NAME / WIDTH, 34 / height, (WIDTH - NAME - VALUE) / WIDTH, ROW * len(every) / height)
        axes = _plain(figure.add_axes(box))
        axes.grid(axis="x")
        for row, contender in enumerate(every):
            _dot(axes, comparison, contender, row, scale)
        chance = comparison.chance.get(comparison.main)
        if chance is not None:
            axes.axvline(scale * chance, color=SECOND, linewidth=1.5, linestyle=(0, (4, 3)))
            top = ("data", "axes fraction")
            axes.annotate("chance", (scale * chance, 1), (0, 6), top, "offset points", ha="center", color=SECOND)
        axes.set_ylim(len(every) - 0.5, -0.5)
        axes.set_yticks(range(len(every)), [clip(c.name, 28) for c in every])
        axes.tick_params(axis="y", labelcolor=INK)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}\N{NO-BREAK SPACE}%" if share else f"{x:g}"))
        return to_svg(figure, f"{spoken(comparison.main)} of every contender with its 95 % interval")


def learning(comparison: Comparison) -> Markup | None:
    """A panel a contender: its main figure over the time of training, the others pale behind it; None without any."""
    drawn = [c for c in comparison.contenders if len(_points(c)) > 1]
    if not drawn:
        return None
    rows = math.ceil(len(drawn) / COLUMNS)
    height = PANEL * rows + 20
    with drawing("learning"), _any_letters():
        figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
        room = (WIDTH - 16) / COLUMNS
        shared: Axes | None = None
        for place, contender in enumerate(drawn):
            left, top = room * (place % COLUMNS) + 44, height - PANEL * (place // COLUMNS) - 26
            box = (left / WIDTH, (top - PANEL + 56) / height, (room - 56) / WIDTH, (PANEL - 56) / height)
            axes = _plain(figure.add_axes(box, sharex=shared, sharey=shared))
            shared = shared or axes
            _panel(axes, comparison, contender, drawn)
        return to_svg(figure, f"{spoken(comparison.main)} over the time of training")


def picture(comparison: Comparison) -> str:
    """Both drawings, one above the other, as an SVG file that needs no page around it and suits light and dark."""
    parts = [part for part in (dots(comparison), learning(comparison)) if part]
    placed, top = [], 12
    for part in parts:
        box = part.split('viewBox="', 1)[1].split('"', 1)[0]
        width, height = (float(x) for x in box.split()[2:])
        placed.append(f'<svg x="0" y="{top}" width="{width:g}" height="{height:g}"{part.removeprefix("<svg")}')
        top += math.ceil(height) + 16
    light, dark = ("".join(f"--{name}:{pair[i]};" for name, pair in COLOURS.items()) for i in (0, 1))
    style = (
        f"svg{{{light}font-family:system-ui,sans-serif}}@media (prefers-color-scheme: dark){{svg{{{dark}}}}}"
        "rect.paper{fill:var(--paper)}"
    )
    size = f'width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}"'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    paper = f'<rect class="paper" width="{WIDTH}" height="{top}"/>'
    return f"{opening}<style>{style}</style>{paper}{''.join(placed)}</svg>\n"


def _dot(axes: Axes, comparison: Comparison, contender: Contender, row: int, scale: int) -> None:
    estimate = contender.figures[comparison.main]
    seeds = [scale * x for x in contender.per_seed.get(comparison.main, ())]
    if len(seeds) > 1:
        axes.plot(seeds, [row + 0.28] * len(seeds), "o", color=MUTED, markersize=4, alpha=0.45, markeredgewidth=0)
    axes.plot([scale * estimate.low, scale * estimate.high], [row, row], color=FIRST, linewidth=2.5)
    axes.plot([scale * estimate.value], [row], "o", color=FIRST, markersize=8, markeredgewidth=0)
    beside = ("axes fraction", "data")
    axes.annotate(str(estimate), (1, row), (12, 0), beside, "offset points", va="center", color=INK)


def _panel(axes: Axes, comparison: Comparison, contender: Contender, every: Sequence[Contender]) -> None:
    longest = max(x for c in every for x, _ in _points(c))
    size, unit = (60, "min") if longest > 120 else (1, "s")
    for other in every:
        if other is not contender:
            x, y = zip(*_points(other), strict=True)
            axes.plot([t / size for t in x], y, color=MUTED, linewidth=1.0, alpha=0.4)
    x, y = zip(*_points(contender), strict=True)
    axes.plot([t / size for t in x], y, color=FIRST, linewidth=2.0)
    chance = comparison.chance.get(comparison.main)
    if chance is not None:
        scale = 100 if contender.figures[comparison.main].share else 1
        axes.axhline(scale * chance, color=SECOND, linewidth=1.0, linestyle=(0, (4, 3)))
    axes.grid(axis="y")
    axes.annotate(clip(contender.name, 26), (0, 1), (0, 8), "axes fraction", "offset points", color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}\N{NO-BREAK SPACE}{unit}" if x else "0"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))


def _points(contender: Contender) -> list[tuple[float, float]]:
    return [(x, y) for x, y in contender.curve if math.isfinite(x) and math.isfinite(y)]


def _plain(axes: Axes) -> Axes:
    for side in ("left", "right", "top", "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set(visible=True, color=HAIR)
    axes.set_axisbelow(True)
    axes.tick_params(pad=6)
    return axes


@contextmanager
def _any_letters() -> Iterator[None]:
    """No warnings of letters that matplotlib's own typeface lacks: the page brings its own."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*missing from font.*")
        yield
