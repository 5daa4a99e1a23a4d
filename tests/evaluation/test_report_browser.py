"""The pages in a browser: no error, no request, no scrolling sideways, on a desk and a phone, by day and by night."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dovetail.evaluation.report import write_report
from dovetail.evaluation.report.comparison import write_comparison
from tests.evaluation.comparisons import AHEAD, BEHIND, comparison
from tests.evaluation.report_content import AWKWARD, full

pytestmark = pytest.mark.browser
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
             "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder: Path = tmp_path_factory.mktemp("pages")
    held = comparison({AWKWARD[0]: AHEAD, AWKWARD[7]: BEHIND}, seeds=3)
    report, compared = write_report(full(), folder / "report.html"), write_comparison(held, folder)
    return {"report": report.as_uri(), "comparison": compared.as_uri()}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("name", ["report", "comparison"])
def test_it_opens_cleanly(browser: Any, addresses: dict[str, str], name: str, width: int, scheme: str) -> None:
    address = addresses[name]
    with browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme) as context:
        page = context.new_page()
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append("a dialog"), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        page.wait_for_load_state("networkidle")
        assert not said
        assert [url for url in asked if not url.startswith("data:")] == [address]
        root = "document.documentElement"
        assert page.evaluate(f"{root}.scrollWidth") <= page.evaluate(f"{root}.clientWidth") == width
        assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        assert page.evaluate(CONTRAST) >= 4.5
        assert page.evaluate(SMALLEST) >= 8


def test_printing_opens_the_configuration(browser: Any, addresses: dict[str, str]) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(addresses["report"])
        assert not page.locator("details pre").is_visible()
        page.emulate_media(media="print")
        assert page.locator("details pre").bounding_box()["height"] > 0
        assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"


CONTRAST = """() => {
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(x => x / 255)
      .map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.documentElement).backgroundColor);
  const words = [...document.querySelectorAll('p, td, th, li, dt, dd, h1, h2, h3, figcaption, small, q')];
  const ratio = x => (Math.max(x, paper) + 0.05) / (Math.min(x, paper) + 0.05);
  return Math.min(...words.map(e => ratio(light(getComputedStyle(e).color))));
}"""

SMALLEST = (
    """() => Math.min(...[...document.querySelectorAll('svg text')].map(e => e.getBoundingClientRect().height))"""
)
