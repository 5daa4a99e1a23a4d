"""Written words, read back from the pictures letter by letter."""

from itertools import combinations

import numpy as np
import pytest

from dovetail.data.records import DataError
from dovetail.data.worlds import Sampler, Scene
from dovetail.data.worlds.facts import VIEWPOINTS
from dovetail.data.worlds.pictures.camera import CAMERAS
from dovetail.data.worlds.pictures.lettering import CELL, TOP, WORDS_WRITTEN, glyphs, ink
from dovetail.data.worlds.pictures.styles import STYLES

LETTERS = "abcdefghijklmnopqrstuvwxyz"
TEMPLATES = {letter: glyphs(letter).astype(float) for letter in LETTERS}


def read(scene: Scene, style: str, size: int) -> str:
    """Template matching: the letter whose cells agree best with the darkness at their centres."""
    grey = STYLES[style](scene, size).image.astype(float).mean(2)
    assert scene.writing is not None
    cells = 6 * len(scene.writing) - 1
    found = np.zeros((7, cells))
    for row in range(7):
        for column in range(cells):
            x, y = 500 + (column + 0.5 - cells / 2) * CELL, TOP + (row + 0.5) * CELL
            at = CAMERAS[scene.viewpoint].seen((x, y, 0.0)) if style == "solid" else (x / 1000, y / 1000)
            found[row, column] = grey[int(at[1] * size), int(at[0] * size)]
    found = found - found.mean()
    if scene.background != "black":
        found = -found
    return "".join(best(found[:, start : start + 5]) for start in range(0, cells, 6))


def best(found: np.ndarray) -> str:
    found = (found - found.mean()) / found.std()
    return min(LETTERS, key=lambda k: float(np.square(found - unit(TEMPLATES[k])).sum()))


def unit(template: np.ndarray) -> np.ndarray:
    return (template - template.mean()) / template.std()


@pytest.mark.parametrize(("style", "size"), [("flat", 64), ("flat", 150), ("textured", 64), ("textured", 150)])
def test_every_word_is_read_back(style: str, size: int) -> None:
    for index, word in enumerate(WORDS_WRITTEN):
        background = ("white", "cream", "grey", "black")[index % 4]
        assert read(Scene((), background, word), style, size) == word


@pytest.mark.parametrize("viewpoint", VIEWPOINTS)
def test_words_are_read_from_every_viewpoint_and_hidden_by_nothing(viewpoint: str) -> None:
    sampler = Sampler((3, 5), writing=1.0, viewpoints=(viewpoint,))
    for scene in (sampler(1, i) for i in range(8)):
        assert read(scene, "solid", 160) == scene.writing


def test_letters_are_all_different() -> None:
    assert all(np.abs(TEMPLATES[a] - TEMPLATES[b]).sum() >= 2 for a, b in combinations(LETTERS, 2))
    assert glyphs("I").shape == (7, 5)
    assert glyphs("no").shape == (7, 11)


def test_words_are_short_and_different() -> None:
    assert len(set(WORDS_WRITTEN)) == len(WORDS_WRITTEN) == 24
    assert all(word.islower() and 3 <= len(word) <= 6 for word in WORDS_WRITTEN)


@pytest.mark.parametrize("size", [50, 64, 125])
def test_ink_is_the_area_of_the_cells(size: int) -> None:
    centres = ((np.arange(size) + 0.5) * 1000 / size).astype(np.float32)
    share = ink("quiet", centres[None, :], centres[:, None], 1000 / size)
    assert share.min() >= -1e-4
    assert share.max() <= 1 + 1e-4
    assert share.sum() * (1000 / size) ** 2 == pytest.approx(glyphs("quiet").sum() * CELL**2, rel=1e-4)


@pytest.mark.parametrize("word", ["", "naïve", "no way", "abcdefghij"])
def test_what_cannot_be_written_is_refused(word: str) -> None:
    with pytest.raises(DataError, match="expected 1 to 9 letters"):
        STYLES["flat"](Scene((), "white", word), 64)
