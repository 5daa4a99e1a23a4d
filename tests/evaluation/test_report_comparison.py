"""The pages of a comparison: values, escapes, nothing loaded, written whole; the picture parses and is placed."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dovetail.evaluation.comparison import Comparison, conclusion
from dovetail.evaluation.report import contenders
from dovetail.evaluation.report.comparison import markdown, render, write_comparison
from dovetail.evaluation.report.texts import escaped
from tests.evaluation.comparisons import AHEAD, BEHIND, MAIN, OPEN, comparison
from tests.evaluation.report_content import AWKWARD

HOSTILE = "<script>alert(1)</script> | **x** `y` $z$ [a](b) \x07\ud83d & 两只狗"


class Page(HTMLParser):
    """The words of a page, and its elements with their attributes."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split()).replace("\N{NO-BREAK SPACE}", " ")


def hostile(seeds: int = 3) -> Comparison:
    held = comparison({HOSTILE: AHEAD, "filip": BEHIND, AWKWARD[7]: OPEN}, seeds)
    about = {"data": AWKWARD[0], AWKWARD[1]: "x"}
    return replace(
        held, contenders=(replace(held.first, warnings=(HOSTILE,)), *held.challengers), about=about
    )  # fmt: skip


@pytest.fixture(scope="module")
def html() -> str:
    return render(hostile())


def test_the_page_says_what_is_known() -> None:
    held = comparison({"siglip": AHEAD, "filip": BEHIND, "hinge": OPEN}, seeds=3)
    page = Page(render(held))
    for sentence in conclusion(held):
        assert sentence in page.text
    for cell in ("12.1 %", "10.1 to 14.1 %", "+2.1 (+0.4 to +3.9)", "higher", "lower", "open", "by chance 1.0 %",
                 "10.0 min", "500", "1.6 GB", "5.0 million", "2,000", "256,000", "mean of 3 seeds", "photos.csv",
                 "text to image, median rank", "40.0"):  # fmt: skip
        assert cell in page.text, cell
    assert "pale dots" not in Page(render(comparison({"siglip": AHEAD}))).text


def test_the_page_needs_nothing_else(html: str) -> None:
    page = Page(html)
    assert "default-src 'none'" in html and not re.search(r"@import|https?:|url\((?!#)", html)
    assert not {tag for tag, _ in page.seen} & {"script", "iframe", "object", "embed", "form", "base", "img"}
    assert not [name for _, attrs in page.seen for name in attrs if name.startswith("on")]
    ids = [value for _, attrs in page.seen if (value := attrs.get("id"))]
    assert len(ids) == len(set(ids))


def test_names_are_shown_and_not_obeyed(html: str) -> None:
    assert "<script" not in html and "&lt;script&gt;" in html
    assert "<script>alert(1)</script> | **x** `y`" in Page(html).text
    assert not re.search(r"[\x00-\x08\ud800-\udfff]", html) and "W" * 100 not in html


def test_markdown_is_a_page_of_tables() -> None:
    held = comparison({"siglip": AHEAD, "hard_negatives": OPEN})
    text = markdown(held)
    assert text.startswith("# Comparison: infonce, siglip, hard\\_negatives\n\n- siglip is ahead of infonce by 2.1")
    assert "| siglip | 12.1 (10.1-14.1) | +2.1 (+0.4 to +3.9) | higher |" in text
    assert "| infonce | 10.0 min | 500 | 1.6 GB | 5.0 million | 2,000 | 256,000 |" in text
    assert "](comparison.svg)" in text and "by chance 1.0" in text and "| data | photos.csv |" in text
    assert "## With care" not in text and "## All figures" in text


def test_hostile_names_break_no_table_of_the_markdown() -> None:
    text = markdown(hostile())
    assert "<" not in text and "\x07" not in text and "\ud83d" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    widths = {len(re.findall(r"(?<!\\)\|", row)) - 1 for row in rows if "alert" in row and "x" in row}
    assert widths <= {2, 4, 7} and widths >= {4, 7}
    assert escaped("a|b <i>*c*</i> [d](e)\nf `g` \\h") == "a\\|b &lt;i&gt;\\*c\\*&lt;/i&gt; \\[d\\](e) f \\`g\\` \\\\h"


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_picture_is_a_file_of_its_own(seeds: int) -> None:
    text = contenders.picture(hostile(seeds))
    root = ElementTree.fromstring(text)
    parts = [e for e in root if e.tag.endswith("svg")]
    assert len(parts) == 2
    first, second = ([float(p.get(k, "")) for k in ("y", "height")] for p in parts)
    assert first[0] + first[1] <= second[0] and second[0] + second[1] <= float(root.get("height", ""))
    assert set(re.findall(r"var\(--(\w+)\)", text)) <= set(re.findall(r"--(\w+):", text))
    assert "prefers-color-scheme: dark" in text and not re.search(r"<script|@import|url\(http|#0a0a0", text)
    words = " ".join("".join(e.itertext()) for e in root.iter() if e.tag.endswith("text"))
    assert "chance" in words and "12.1 (10.1-14.1)" in words


def marks(text: str) -> list[float]:
    """Where the dots of the contenders lie from left to right: matplotlib writes each as a `use` element."""
    return [float(x) for x in re.findall(r'<use [^>]*?x="([\d.]+)"[^>]*?fill: var\(--first\)', text)]


def test_dots_lie_in_the_order_of_the_values() -> None:
    infonce, siglip, filip = marks(contenders.dots(comparison({"siglip": AHEAD, "filip": BEHIND})))
    assert filip < infonce < siglip
    assert (siglip - infonce) / (infonce - filip) == pytest.approx(2.1 / 3.2, rel=0.01)


def test_single_seeds_are_drawn_where_there_are_several() -> None:
    one, three = (contenders.dots(comparison({"siglip": AHEAD}, seeds)) for seeds in (1, 3))
    assert three.count("<use") - one.count("<use") == 2 * 3


def test_curves_only_where_there_are_any() -> None:
    held = comparison({"siglip": AHEAD})
    flat = replace(held, contenders=tuple(replace(c, curve=((1.0, float("nan")), (2.0, 3.0))) for c in held.contenders))
    assert contenders.learning(flat) is None and 'id="learning"' not in render(flat)
    drawn = contenders.learning(held)
    assert drawn and "3 min" in drawn.replace("\N{NO-BREAK SPACE}", " ") and 'id="learning"' in render(held)
    assert len(list(ElementTree.fromstring(contenders.picture(flat)))) == 3


def test_all_files_are_written_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "new"
    held = comparison({"siglip": AHEAD})
    assert write_comparison(held, folder) == folder / "comparison.html"
    names = ["comparison.html", "comparison.md", "comparison.svg"]
    assert sorted(p.name for p in folder.iterdir()) == names
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def breaks(path: Path, *_: object, **__: object) -> None:
        path.write_bytes(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "write_text", breaks)
    with pytest.raises(OSError, match="the disk is full"):
        write_comparison(comparison({"filip": BEHIND}), folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_a_figure_that_one_lacks() -> None:
    held = comparison({"siglip": AHEAD})
    few = replace(held, contenders=(held.first, replace(held.challengers[0], figures={MAIN: AHEAD})))
    assert markdown(few).count("| siglip |") == 2 and markdown(few).count("| infonce |") == 3
    assert Page(render(few)).text
