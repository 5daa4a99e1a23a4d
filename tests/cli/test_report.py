"""The report of a run."""

import html
import re
from pathlib import Path

import pytest

from dovetail.evaluation.result import Results


@pytest.fixture(scope="module")
def page(trained: Path) -> str:
    text = (trained / "run" / "report.html").read_text()
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<(style|script).*?</\1>", " ", text))).split())


def test_the_headline_has_the_figures(trained: Path, page: str) -> None:
    (result,) = Results.read(trained / "run" / "metrics.json").results
    for key in ("text_to_image/R@1", "text_to_image/R@10", "image_to_text/R@10"):
        assert f"{100 * result[key].value:.1f}" in page
    assert "trained from scratch with infonce" in page and "on 63 images with 63 captions" in page
    assert "Measured on 24 images only; the intervals are wide." in page
    assert "the best of 3 on this very data" in page


def test_what_was_skipped_is_listed_by_cause(page: str) -> None:
    assert "truncated image" in page and "train.csv line 5 (train/3.jpg)" in page
    assert "missing image file" in page and "train.csv line 7 (train/5.jpg)" in page


def test_the_card_says_how_it_was_made(trained: Path, page: str) -> None:
    assert "Representation Learning with Contrastive Predictive Coding" in page
    assert "vit(size=32, patch=16, width=32, depth=1, heads=2)" in page
    assert f"dovetail.load('{trained / 'run'}')" in page
    assert "weight_decay: 0.1" in page  # the resolved configuration
    assert "24 steps" in page or "Steps 24" in page


def test_it_shows_answers_mistakes_and_curves(trained: Path, page: str) -> None:
    text = (trained / "run" / "report.html").read_text()
    assert text.count("data:image/") > 20
    captions = [line.partition(",")[2] for line in (trained / "val.csv").read_text().splitlines()[1:]]
    assert sum(caption in page for caption in captions) >= 8
    for chart in ("Loss", "Recall at 10 on validation", "Learning rate"):
        assert chart in page


def test_it_is_one_file(trained: Path) -> None:
    text = (trained / "run" / "report.html").read_text()
    assert not re.search(r"""(src|href)=["']?(https?:|//|\.)""", text)
