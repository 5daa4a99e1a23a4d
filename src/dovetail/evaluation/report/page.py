"""Content to page: the template, filled and written in one go."""

import os
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dovetail.evaluation.report import charts, figures, texts, thumbnails
from dovetail.evaluation.report.content import Examples, Mistakes, Report

MOST = 24  # examples shown of each kind, so that the file stays small whatever is handed in


def write_report(report: Report, path: str | Path) -> Path:
    """Writes the page to `path`, through a file beside it, so that no half page is ever left. Returns the path."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        beside.write_text(render(report), encoding="utf-8")
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
    return target


def render(report: Report) -> str:
    """The page as HTML: no script, and nothing loaded from anywhere."""
    page = environment().get_template("report.html")
    return page.render(report=report, sections=_sections(report), written=report.headline.written or _now())


def environment() -> Environment:
    """The templates with our filters. Everything is escaped that is not Markup."""
    made = Environment(
        loader=PackageLoader("dovetail.evaluation.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "clean": texts.clean,
        "clip": texts.clip,
        "block": texts.block,
        "plain": figures.plain,
        "score": figures.score,
        "square": thumbnails.square,
        "whole": thumbnails.whole,
    }
    made.globals |= {"charts": charts, "along": figures.along, "most": MOST, "style": Markup(_style())}
    return made


def _style() -> str:
    return Path(__file__).with_name("templates").joinpath("style.css").read_text(encoding="utf-8")


def _sections(report: Report) -> list[tuple[str, str]]:
    """The sections that are there: their template (and anchor) and their title."""
    known = {
        "training": ("Training", report.training),
        "retrieval": ("Retrieval", report.retrieval),
        "zero_shot": ("Zero-shot classification", report.zero_shot),
        "examples": ("What it answers", report.examples if report.examples and any(_held(report.examples)) else None),
        "mistakes": ("Worst mistakes", report.mistakes if report.mistakes and any(_held(report.mistakes)) else None),
        "similarities": ("All scores", report.similarities),
        "data": ("Data", report.data),
        "card": ("Model card", report.card),
    }
    return [(name, title) for name, (title, held) in known.items() if held is not None]


def _held(section: Examples | Mistakes) -> list[object]:
    """The groups of examples of a section, without its sentence."""
    return [getattr(section, f.name) for f in fields(section) if f.name != "sentence"]


def _now() -> str:
    return datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC")
