"""The page: well formed, self-contained, escaped, complete, small, and without what it was not given."""

import base64
import io
import re
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dovetail.evaluation import report as r
from dovetail.evaluation.intervals import Estimate
from dovetail.evaluation.report import charts, texts, thumbnails
from dovetail.evaluation.report.figures import along, plain, score
from dovetail.evaluation.report.page import MOST
from tests.evaluation import report_content as content

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Reads a page strictly: every element that opens is closed, in order."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"an attribute of <{tag}> is given twice"
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def named(self, name: str) -> list[str]:
        return [value for _, attrs in self.seen if (value := attrs.get(name))]


@pytest.fixture(scope="module")
def html() -> str:
    return r.render(content.full())


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_it_is_well_formed(html: str, page: Page) -> None:
    assert html.startswith("<!doctype html>")
    ids = page.named("id")
    assert len(ids) == len(set(ids))
    links = [a for a in page.named("href") if a.startswith("#")]
    assert links and {a[1:] for a in links} <= set(ids)
    assert all(attrs.get("alt") is not None for tag, attrs in page.seen if tag == "img")


def test_it_needs_nothing_else(html: str, page: Page) -> None:
    for address in page.named("src") + page.named("href") + page.named("xlink:href"):
        assert address.startswith(("data:", "#")), address[:60]
    assert not {tag for tag, _ in page.seen} & {"script", "iframe", "object", "embed", "form", "base"}
    assert not [name for _, attrs in page.seen for name in attrs if name.startswith("on")]
    assert not re.search(r"@import|https?:|url\((?!#)", html)
    assert "default-src 'none'" in html


def test_texts_are_escaped_and_cut(html: str, page: Page) -> None:
    assert "<script" not in html
    assert content.AWKWARD[0] in page.text
    assert '"quoted" & <b>bold</b> $x_1$ \\alpha {{ 7 * 7 }}' in page.text
    assert content.AWKWARD[2] in page.text and content.AWKWARD[3] in page.text
    assert "👨‍👩‍👧‍👦" in page.text
    assert "W" * 100 in page.text and "W" * 300 not in page.text
    assert "<u>chance" in page.text  # inside a chart
    assert not re.search(r"[\x00-\x08\ud800-\udfff]", html)
    captions = [attrs for tag, attrs in page.seen if tag == "q"]
    assert captions and all(attrs.get("dir") == "auto" for attrs in captions)


@pytest.mark.parametrize(
    "figure",
    ["17.3 %", "15.3 to 19.3 %", "1.0 %", "17 ×", "74", "66 to 83", "500", "3.1 %", "0.1 %", "31 ×", "45.7 %", "2.3 ×",
     "43.7 to 47.7 %", "20.0 %", "25,536", "4.2 passes", "0.613", "6,000", "30,017", "12", "10,017", "5,123,456",
     "43.2 %", "0.61", "−0.07", "rank 1,711", "right at rank 3", "50", "1 May 2031",
     "dovetail train --resume --out 'runs/a & b'", "truncated image", "train <1>.jsonl line 0",
     'dovetail.load("runs/a")', "Only English.", "c: 1", 'Zhai et al., "Sigmoid", 2023.'],
)  # fmt: skip
def test_it_says(page: Page, figure: str) -> None:
    assert re.search(rf"(?<![\w.,]){re.escape(figure)}(?![\w.,]*\d)", page.text.replace("\N{NO-BREAK SPACE}", " "))


def test_right_answers_are_marked_in_more_than_colour(page: Page) -> None:
    framed = [attrs for tag, attrs in page.seen if attrs.get("class") == "hit right"]
    assert len(framed) == sum(hit.right for q in content.examples().text_queries for hit in q.hits) > 0
    assert page.text.count("✓") > len(framed)


SECTIONS = [f.name for f in fields(r.Report) if f.name != "headline"]


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_that_is_not_there_leaves_no_trace(page: Page, name: str) -> None:
    alone = Page(r.render(r.Report(content.headline(), **{name: getattr(content.full(), name)})))
    assert [i for i in page.named("id") if i in SECTIONS] == SECTIONS
    assert [i for i in alone.named("id") if i in SECTIONS] == [name]
    assert [a for a in alone.named("href") if a.removeprefix("#") in SECTIONS] == [f"#{name}"]


def test_the_least_report() -> None:
    page = Page(
        r.render(r.Report(r.Headline("runs/a", "Nothing was measured."), examples=r.Examples(), mistakes=r.Mistakes()))
    )
    assert "Nothing was measured." in page.text
    assert not [tag for tag, _ in page.seen if tag in ("section", "nav", "table", "img")]


def test_sections_without_much_in_them() -> None:
    same = r.Similarities(np.full((1, 1), 0.5), np.array([0.5]), np.array([]))
    empty = r.DataSection((r.DataPart("none.csv", 0, 0),))
    nothing = r.FigureTable(
        "Nothing.", (r.FigureGroup("Empty", (r.Figure("R@1", Estimate(*[float("nan")] * 3, True)),)),)
    )
    page = Page(r.render(r.Report(r.Headline("a", "b"), r.Training(()), nothing, similarities=same, data=empty)))
    assert "every image and every caption was used" in page.text
    assert "–" in page.text and "nan" not in page.text


def test_it_stays_small_whatever_is_handed_in(html: str) -> None:
    held = content.examples()
    many = r.Examples(held.text_queries * 30, held.image_queries * 30)
    page = r.render(r.Report(r.Headline("a", "b"), examples=many))
    assert len(html.encode()) < 3_000_000
    assert len(page.encode()) < 5_000_000
    assert page.count('class="query"') == page.count('class="asked-by-image"') == MOST


def test_writing_replaces_the_file_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "new" / "report.html"
    least = r.Report(r.Headline("runs/a", "One.", written="today"))
    assert r.write_report(least, target) == target
    before = target.read_bytes()
    opened: list[Path] = []

    def breaks(path: Path, *_: object, **__: object) -> None:
        opened.append(path)
        path.write_bytes(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "write_text", breaks)
    with pytest.raises(OSError, match="the disk is full"):
        r.write_report(least, str(target))
    assert opened and target not in opened
    assert target.read_bytes() == before
    assert [p.name for p in target.parent.iterdir()] == ["report.html"]


def test_a_page_is_the_same_each_time(html: str) -> None:
    assert r.render(content.full()) == html


# Figures


def test_figures_in_words() -> None:
    assert (
        plain(4999.6, 0) == "5,000"
        and plain(0.02) == "0.02"
        and plain(-2.31, 2) == "−2.31"
        and plain(float("inf")) == "–"
    )
    assert score(-0.001) == "0.00" and score(-0.04) == "−0.04"
    assert [along(x, 0.5) for x in (-1.0, 0.1, 0.5, 2.0, float("nan"))] == [0.0, 20.0, 100.0, 100.0, 0.0]
    rank = r.Figure("rank", Estimate(7.0, 5.0, 9.0), 50.0, 0)
    assert (rank.shown, rank.interval, rank.chance_shown, rank.ratio) == ("7", "5 to 9", "50", "")
    assert r.FigureGroup("", (r.Figure("", Estimate(0.12, 0.11, 0.21, True)),)).top == 0.5
    assert r.FigureGroup("", (rank,)).top == 1.0


def test_a_share_of_nothing_has_no_ratio() -> None:
    assert r.Figure("R@1", Estimate(0.5, 0.4, 0.6, True), 0.0).ratio == ""


# Texts


def test_a_cut_keeps_words_and_joined_letters() -> None:
    assert texts.clip("a dog  runs\nover snow", 12) == "a dog runs…"
    assert texts.clip("e\u0301" * 20, 10) == "e\u0301" * 4 + "…"
    assert texts.clip("👨‍👩‍👧‍👦" * 3, 12) == "👨‍👩‍👧‍👦…"
    assert texts.clip("short", 5) == "short"
    assert all(len(texts.clip(text, 50)) <= 50 for text in content.AWKWARD)
    assert texts.block("a:\n  b: \x00\ud800") == "a:\n  b: \ufffd"


# Pictures


@pytest.mark.parametrize("size", [(1, 1), (3000, 2), (2, 3000), (128, 128), (200, 100)])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK", "1", "LA"])
def test_thumbnails(size: tuple[int, int], mode: str) -> None:
    image = content.photo(0, size).convert(mode)
    for make in (thumbnails.square, thumbnails.whole):
        small = decoded(make(image))
        assert small.format == "JPEG" and small.mode == "RGB" and max(small.size) <= 128
    assert decoded(thumbnails.square(image)).size == (128, 128)
    assert image.size == size and image.mode == mode


def test_what_is_transparent_becomes_white() -> None:
    assert decoded(thumbnails.square(Image.new("RGBA", (9, 9), (0, 0, 0, 0)))).getpixel((64, 64)) == (255, 255, 255)


def decoded(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))


# Charts


def test_the_heat_map_shows_the_scores() -> None:
    shown = np.asarray(decoded(charts.heat(np.array([[1.0, 0.0], [0.5, np.nan]]))))[..., 3]
    assert shown[0, 0] == 255 and shown[0, 1] == 0 and shown[1, 1] == 0
    assert 115 < shown[1, 0] < 130


def test_long_lines_are_thinned_by_averaging() -> None:
    steps = tuple(float(s) for s in range(3000))
    x, y = charts.thinned(r.Series("loss", steps, tuple(s % 2 for s in steps)))
    assert len(x) == charts.POINTS
    assert np.allclose(x, np.arange(3000).reshape(300, 10).mean(1)) and np.allclose(y, 0.5)
    kept, _ = charts.thinned(r.Series("loss", (1.0, 2.0, 3.0), (1.0, float("nan"), float("inf"))))
    assert kept.tolist() == [1.0]


def test_only_noise_is_smoothed() -> None:
    line = np.linspace(5, 1, 200)
    noisy = line + np.random.default_rng(0).normal(size=200)
    assert charts.smoothed(line) is line
    assert np.abs(charts.smoothed(noisy) - line).mean() < 0.5 * np.abs(noisy - line).mean()


def test_charts_take_the_colours_of_the_page(html: str) -> None:
    inside = "".join(re.findall(r"<svg.*?</svg>", html, re.DOTALL))
    assert "var(--first)" in inside and "var(--second)" in inside and "var(--muted)" in inside
    assert not re.search(r"#0a0a0\d|DejaVu|<style|<metadata|#fff", inside)
    for light in re.findall(r"--([a-z]+): #", html):
        assert len(re.findall(rf"--{light}: #", html)) >= 2 or light == "paper", f"--{light} has no dark value"


# The log


def test_curves_from_rows() -> None:
    rows = [
        {"step": 1, "loss": 3.0, "scale": 10},
        {"step": 2, "loss": float("nan"), "scale": True},
        {"step": 4, "loss": 1.0, "validation": {"text_to_image": {"R@10": 12.5}}},
        {"step": 3, "loss": 2.0},
        {"step": 3, "loss": 2.5},
        {"loss": 9.0},
    ]
    loss, recall, scale = r.curves(rows)
    assert loss.series == (r.Series("training", (1.0, 3.0, 4.0), (3.0, 2.5, 1.0)),)
    assert recall.unit == "%" and recall.series == (r.Series("text to image", (4.0,), (12.5,)),)
    assert scale.series == (r.Series("scale", (1.0,), (10.0,)),)
    assert r.curves([]) == () and r.images_per_step(rows) is None
    assert r.images_per_step([{"step": 2, "images": 64}, {"step": 4, "images": 256}, {"step": 5}]) == 64.0
