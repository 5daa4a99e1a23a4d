"""The still picture for a README."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from dovetail.evaluation.report import DARK, LIGHT, ImageHit, TextQuery, write_picture
from dovetail.evaluation.report.picture import EDGE, GAP, SHARPNESS, SIDE, TEXT, Palette
from tests.evaluation import report_content as content


def queries(texts: tuple[str, ...]) -> tuple[TextQuery, ...]:
    grey = Image.new("RGB", (50, 80), (120, 120, 120))
    return tuple(TextQuery(text, tuple(ImageHit(grey, 0.3, k == 1) for k in range(5))) for text in texts)


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_right_images_are_framed(tmp_path: Path, palette: Palette) -> None:
    path = write_picture(queries(("a dog", "a cat")), tmp_path / "new" / "picture.png", palette)
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert tuple(pixels[2, 2]) == ImageColor.getrgb(palette.paper)
    middle = (EDGE + SIDE // 2) * SHARPNESS
    for column in range(5):
        left = (EDGE + TEXT + column * (SIDE + GAP)) * SHARPNESS
        frame = np.abs(pixels[middle, left - 4] - ImageColor.getrgb(palette.right)).max() < 40
        assert frame == (column == 1)
        assert tuple(pixels[middle, left + SIDE]) == (120, 120, 120)


def test_awkward_texts_and_few_queries(tmp_path: Path) -> None:
    assert Image.open(write_picture(queries(content.AWKWARD[:7]), tmp_path / "a.png")).width == Image.open(
        write_picture(queries(("one",)), tmp_path / "b.png")
    ).width  # fmt: skip
    write_picture((), tmp_path / "c.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png", "c.png"]
