"""The README's figures are those of results/, to the last digit."""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WAYS = {"caption to image": "text_to_image", "image to caption": "image_to_text"}


def test_flickr8k_in_the_readme() -> None:
    found = json.loads((ROOT / "results" / "f8k_cpu.json").read_text(encoding="utf-8"))
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    for title, way in WAYS.items():
        figures = [found["figures"][f"{way}/R@{k}"] for k in (1, 5, 10)]
        cells = [f"{100 * f['value']:.1f} ({100 * f['low']:.1f}-{100 * f['high']:.1f})" for f in figures]
        assert f"| {title} | {' | '.join(cells)} |" in lines
    assert found["counts"] == {"images": 1000, "captions": 5000}
