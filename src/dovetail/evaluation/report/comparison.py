"""A comparison as a page, as Markdown for a documentation site, and as a picture."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dovetail.evaluation.comparison import (
    MINUS,
    Comparison,
    Contender,
    conclusion,
    duration,
    label,
    memory,
    signed,
    spoken,
)
from dovetail.evaluation.report import contenders
from dovetail.evaluation.report.content import Fact
from dovetail.evaluation.report.figures import Figure, FigureGroup, plain
from dovetail.evaluation.report.page import environment
from dovetail.evaluation.report.texts import clip, escaped


@dataclass(frozen=True)
class Row:
    """A contender in the table of one figure; difference: to the first, written out."""

    figure: Figure
    difference: str
    standing: str


@dataclass(frozen=True)
class Block:
    """The table of one figure, as the page shows it; top: where its drawn scale ends."""

    title: str
    rows: tuple[Row, ...]
    chance: str
    top: float


def write_comparison(comparison: Comparison, folder: str | Path) -> Path:
    """Writes comparison.html, comparison.md and comparison.svg into `folder`; returns the path of the page.

    Each file is written beside its place and moved there, so that no half file is ever left.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "comparison.svg": contenders.picture(comparison),
        "comparison.md": markdown(comparison),
        "comparison.html": render(comparison),
    }
    for name, text in texts.items():
        beside = folder / f".{name}.{os.getpid()}.part"
        try:
            beside.write_text(text, encoding="utf-8")
            os.replace(beside, folder / name)
        finally:
            beside.unlink(missing_ok=True)
    return folder / "comparison.html"


def render(comparison: Comparison) -> str:
    """The page as HTML: no script, and nothing loaded from anywhere."""
    lead, *others = conclusion(comparison)
    return (
        environment()
        .get_template("comparison.html")
        .render(
            title=" · ".join(label(c) for c in comparison.contenders),
            lead=lead,
            others=others,
            first=label(comparison.first),
            blocks=[_block(comparison, name) for name in comparison.figures],
            dots=contenders.dots(comparison),
            learning=contenders.learning(comparison),
            costs=[_cost(c) for c in comparison.contenders],
            warnings=_warnings(comparison),
            about=[Fact(name, value) for name, value in comparison.about.items()],
            main=spoken(comparison.main),
            seeds=comparison.seeds,
            written=f"{datetime.now(UTC):%d %B %Y, %H:%M} UTC",
        )
    )


def markdown(comparison: Comparison) -> str:
    """A page for a documentation site: what can be concluded, the tables, and the picture beside it."""
    main, *others = [_block(comparison, name) for name in comparison.figures]
    parts = [
        "# Comparison: " + ", ".join(escaped(label(c)) for c in comparison.contenders),
        "\n".join(f"- {escaped(sentence)}" for sentence in conclusion(comparison)),
        f"![{escaped(main.title)} of every contender, with 95 % intervals](comparison.svg)",
        _markdown_block(main, label(comparison.first)),
        "## Cost",
        _markdown_costs(comparison),
    ]
    if warnings := _warnings(comparison):
        parts += ["## With care", "\n".join(f"- {escaped(warning)}" for warning in warnings)]
    if others:
        parts += ["## All figures", *(_markdown_block(block, label(comparison.first)) for block in others)]
    if comparison.about:
        rows = (f"| {escaped(name)} | {escaped(clip(value, 400))} |" for name, value in comparison.about.items())
        parts += ["## What was compared", "| | |\n|---|---|\n" + "\n".join(rows)]
    return "\n\n".join(parts) + "\n"


def _block(comparison: Comparison, name: str) -> Block:
    chance = comparison.chance.get(name)
    held = [c for c in comparison.contenders if name in c.figures]
    figures = tuple(Figure(label(c), c.figures[name], chance) for c in held)
    rows = []
    for contender, figure in zip(held, figures, strict=True):
        difference = comparison.differences.get(contender.name, {}).get(name)
        standing = comparison.standing(contender.name, name)
        rows.append(Row(figure, signed(difference) if difference else "", standing or ""))
    return Block(spoken(name), tuple(rows), figures[0].chance_shown, FigureGroup("", figures).top)


def _cost(contender: Contender) -> tuple[str, ...]:
    """The cells of a contender's row in the table of costs."""
    return (
        label(contender),
        duration(contender.seconds),
        plain(contender.images_per_second, 0),
        memory(contender.peak_bytes),
        f"{contender.parameters / 1e6:.1f} million",
        f"{contender.steps:,}",
        f"{contender.images:,}",
    )


def _warnings(comparison: Comparison) -> list[str]:
    return [f"{label(c)}: {clip(warning)}" for c in comparison.contenders for warning in c.warnings]


def _markdown_block(block: Block, first: str) -> str:
    chance = f"; by chance {block.chance}" if block.chance else ""
    unit = " in percent" if block.rows[0].figure.share else ""
    head = f"**{escaped(block.title)}**{unit}, with 95 % intervals{chance}\n\n"
    head += f"| objective | value | less {escaped(first)} | |\n|---|---|---|---|\n"
    rows = (
        f"| {escaped(row.figure.name)} | {str(row.figure.estimate).replace(' to -', f' to {MINUS}')} "
        f"| {row.difference} | {row.standing} |"
        for row in block.rows
    )
    return head + "\n".join(rows)


def _markdown_costs(comparison: Comparison) -> str:
    head = "| objective | training | images a second | peak memory | parameters | steps | images seen |\n"
    rows = (" | ".join(map(escaped, _cost(c))) for c in comparison.contenders)
    return head + "|---|---|---|---|---|---|---|\n" + "\n".join(f"| {row} |" for row in rows)
