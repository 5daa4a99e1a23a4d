"""The report's charts. Titles, legends and end values are written by the page, in its own type, around them."""

import base64
import io
from collections.abc import Mapping

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

from dovetail.evaluation.report.content import Curve, Series
from dovetail.evaluation.report.svg import FIRST, MUTED, SERIES, canvas, drawing, to_svg

WIDTH, HEIGHT = 400, 210
POINTS = 300  # drawn per line; more are averaged, so that a long run does not make a heavy page
DASHES = ("-", (0, (5, 2.5)), (0, (1.5, 2)))
HEAT = (31, 92, 158)


def curve(chart: Curve, images_per_step: float | None = None) -> Markup:
    """Lines over steps; a long noisy one is drawn pale with its moving average on top."""
    with drawing(chart.title):
        figure, axes = canvas(WIDTH, HEIGHT, left=48, bottom=44 if images_per_step else 30)
        for series, colour, dashes in zip(chart.series, SERIES, DASHES, strict=False):
            steps, values = thinned(series)
            smooth = smoothed(values)
            if smooth is not values:
                axes.plot(steps, values, color=colour, alpha=0.25, linewidth=1.0)
            few = "o" if len(steps) < 25 else None
            axes.plot(steps, smooth, color=colour, linewidth=2.0, linestyle=dashes, marker=few, markersize=3.5)
        if chart.reference is not None:
            name, value = chart.reference
            axes.axhline(value, color=MUTED, linewidth=1.0, linestyle=(0, (2, 2)))
            axes.annotate(name, (1.0, value), (0, 4), ("axes fraction", "data"), textcoords="offset points", ha="right")
        _step_axis(axes, images_per_step)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _with_unit(_short(y), chart.unit)))
        return to_svg(figure, f"{chart.title} over the steps of the run")


def histogram(named: Mapping[str, np.ndarray], title: str) -> Markup:
    """How two or more sets of numbers are spread, each as the share of its own; the first is filled."""
    finite = {name: np.asarray(x, float)[np.isfinite(np.asarray(x, float))] for name, x in named.items()}
    filled = {name: x for name, x in finite.items() if x.size}
    with drawing(title):
        figure, axes = canvas(WIDTH, HEIGHT, left=16, bottom=30)
        ends = np.concatenate(list(filled.values())) if filled else np.zeros(1)
        low, high = float(ends.min()), float(ends.max())
        edges = np.linspace(low, high if high > low else low + 1.0, 49)
        for x, colour, dashes in zip(filled.values(), SERIES, DASHES, strict=False):
            shares = np.histogram(x, edges)[0] / x.size
            axes.stairs(shares, edges, fill=True, color=colour, alpha=0.18)
            axes.stairs(shares, edges, color=colour, linewidth=1.6, linestyle=dashes)
        axes.set_ylim(bottom=0)
        axes.set_yticks([])
        axes.xaxis.set_major_locator(MaxNLocator(6))
        return to_svg(figure, title)


def counts(named: Mapping[str, Mapping[int, int]], title: str) -> Markup:
    """Which whole numbers occur how often, in percent of each set; the first as bars, the others as outlines."""
    filled = {name: held for name, held in named.items() if sum(held.values())}
    low, high = _ends(filled)
    step = max(1, -(-(high - low + 1) // 60))
    edges = np.arange(low, high + step + 1, step) - 0.5
    with drawing(title):
        figure, axes = canvas(WIDTH, HEIGHT, left=44, bottom=30)
        for place, (held, colour, dashes) in enumerate(zip(filled.values(), SERIES, DASHES, strict=False)):
            numbers = np.minimum(np.array(list(held)), edges[-1] - 0.5)  # the last bar holds all that is longer
            weights = 100 * np.array(list(held.values()), float) / sum(held.values())
            shares = np.histogram(numbers, edges, weights=weights)[0]
            if place == 0:
                axes.bar(edges[:-1] + step / 2, shares, width=0.82 * step, color=FIRST, alpha=0.8)
            else:
                axes.stairs(shares, edges, color=colour, linewidth=1.6, linestyle=dashes)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.set_xlim(min(edges[0], 0.0), max(edges[-1], 9.5))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g} %"))
        return to_svg(figure, title)


def heat(matrix: np.ndarray) -> str:
    """The score matrix (n n) as a PNG `data:` address, one pixel a score: the higher the score, the more opaque."""
    low, high = heat_ends(matrix)
    opacity = np.clip((np.nan_to_num(np.asarray(matrix, float), nan=low) - low) / (high - low), 0.0, 1.0)
    pixels = np.empty((*opacity.shape, 4), np.uint8)
    pixels[..., :3] = HEAT
    pixels[..., 3] = np.round(255 * opacity)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def heat_ends(matrix: np.ndarray) -> tuple[float, float]:
    """The scores that are drawn as nothing and as full colour; the lowest few percent do not stretch the scale."""
    finite = np.asarray(matrix, float)[np.isfinite(matrix)]
    if not finite.size:
        return 0.0, 1.0
    low, high = float(np.quantile(finite, 0.02)), float(finite.max())
    return low, high if high > low else low + 1.0


def thinned(series: Series) -> tuple[np.ndarray, np.ndarray]:
    """At most POINTS points: what is finite, averaged in equal bins of neighbours."""
    steps, values = np.array(series.steps, float), np.array(series.values, float)
    finite = np.isfinite(steps) & np.isfinite(values)
    steps, values = steps[finite], values[finite]
    if steps.size <= POINTS:
        return steps, values
    bins = np.array_split(np.arange(steps.size), POINTS)
    return np.array([steps[b].mean() for b in bins]), np.array([values[b].mean() for b in bins])


def smoothed(values: np.ndarray) -> np.ndarray:
    """A centred moving average over a twentieth of the line; the same array where it is short or already smooth."""
    if values.size < 60 or _smooth(values):
        return values
    reach = max(1, values.size // 40)
    return np.array([values[max(0, i - reach) : i + reach + 1].mean() for i in range(values.size)])


def _smooth(values: np.ndarray) -> bool:
    """Whether neighbours differ far less than the line as a whole does."""
    return bool(np.abs(np.diff(values, 2)).mean() < 0.01 * max(float(np.ptp(values)), 1e-12))


def _ends(named: Mapping[str, Mapping[int, int]]) -> tuple[int, int]:
    """The lowest number, and one that 99.5 % of every set reach at most, so that one long caption flattens nothing."""
    lows, highs = [0], [1]
    for held in named.values():
        numbers = np.array(sorted(held))
        reached = np.cumsum([held[int(n)] for n in numbers]) / sum(held.values())
        lows.append(int(numbers[0]))
        highs.append(int(numbers[np.searchsorted(reached, 0.995)]))
    return min(lows[1:], default=0), max(highs)


def _step_axis(axes: Axes, images_per_step: float | None) -> None:
    """Ticks at round steps; under each, in a row of its own, the images seen by then."""
    axes.set_xlim(left=0)
    last = axes.get_xlim()[1]
    ticks = [t for t in MaxNLocator(4, integer=True).tick_values(0, last) if 0 <= t <= last]
    axes.set_xticks(ticks, [_short(t) for t in ticks])
    if images_per_step is not None:
        for t in ticks:
            note = axes.annotate(
                _short(t * images_per_step), (t, 0), (0, -22), ("data", "axes fraction"), "offset points"
            )
            note.set(color=MUTED, alpha=0.75, ha="center", va="top")


def _short(value: float) -> str:
    """A tick's text: `500`, `12k`, `1.5M`, `3e-4`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * (10 if size == 1e3 else 1):
            return f"{value / size:.3g}{letter}"
    if value and abs(value) < 0.01:
        mantissa, _, power = f"{value:.1e}".partition("e")
        return f"{float(mantissa):g}e{int(power)}".replace("e-", "e\N{MINUS SIGN}")
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def last_values(chart: Curve) -> list[tuple[str, str]]:
    """Each line's name and its last value as drawn, for the legend; one line alone goes by the chart's title."""
    lines = [(s.name, smoothed(thinned(s)[1])) for s in chart.series]
    shown = [(name, _with_unit(_short(float(f"{y[-1]:.3g}")), chart.unit) if y.size else "–") for name, y in lines]
    return [("at the end", value) for _, value in shown] if len(shown) == 1 else shown


def _with_unit(text: str, unit: str) -> str:
    return f"{text}\N{NO-BREAK SPACE}{unit}" if unit else text


def plain_names(named: Mapping[str, object]) -> list[tuple[str, str]]:
    """The names of the sets that are drawn, for a legend without values."""
    return [(name, "") for name, _ in zip(named, SERIES, strict=False)]
