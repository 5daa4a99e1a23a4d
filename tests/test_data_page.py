"""What the page on data formats says of column names is what the sources look for."""

import re
from pathlib import Path

import pytest

from dovetail.contracts import Kind
from dovetail.data.sources import columns

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "data.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("meaning", "names"),
    [
        ("image", columns.IMAGE),
        ("captions", columns.CAPTIONS),
        ("label", columns.LABEL),
        ("id", columns.ID),
        ("language", columns.LANGUAGE),
        ("regions", columns.REGIONS),
        ("negatives", columns.NEGATIVES),
        ("long captions", columns.LONG),
        ("synthetic captions", columns.SYNTHETIC),
        ("depth", columns.DEPTH),
        ("video", columns.VIDEO),
    ],
)
def test_the_page_lists_the_names_that_are_guessed(meaning: str, names: tuple[str, ...]) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| {meaning} |"))
    assert re.findall(r"`(\w+)`", row) == [name for name in names if not name.startswith(".")]


def test_the_jsonl_examples_of_the_page_are_read(tmp_path: Path) -> None:
    from PIL import Image

    from dovetail.data.sources import open_source

    for name in ("a/1.jpg", "a/1b.jpg", "a/2.jpg", "depth/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    lines = [line.strip() for line in PAGE.splitlines() if line.startswith('    {"image":')]
    (tmp_path / "photos.jsonl").write_text("\n".join(lines), encoding="utf-8")
    one, two = (open_source(tmp_path / "photos.jsonl")[i] for i in range(2))
    assert [c.text for c in one.captions if c.kind is Kind.RAW] == [
        "a red kite",
        "a kite in the sky",
        "a kite over a dog",
        "a kite",
    ]
    assert [c.text for c in one.captions if c.kind is Kind.LONG] == ["A kite. It is in a tree."]
    assert one.depth == tmp_path / "depth/1.png" and one.video == (tmp_path / "a/1.jpg", tmp_path / "a/1b.jpg")
    assert one.regions[0].phrase == "a dog"
    assert two.label == "dog"
