"""The method pages: what a page says, and that those in the repository are those the docstrings give."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dovetail.catalogue import Entry
from dovetail.cli import docs

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "methods"
CARD = """Toy: two things are alike when they are equal.

Doe and Roe, "A Title
Over Two Lines", 2020.

    s_ij = 1 if x_i = y_j else 0         (eq. 2)
        where x is a thing

Differs from nothing."""


class Toy:
    """A similarity.

    Args:
        scale: the factor on
            the score.
        how: a word or none.
    """

    def __init__(self, scale: float = 1 / 3, how: str | None = None):
        self.scale, self.how = scale, how


class Several:
    """An objective."""

    requires = ("several captions", "regions")

    def __init__(self, loss: Callable[[int], int]):
        self.loss = loss


def entry(key: str, contract: str, make: type) -> Entry:
    return Entry(contract, key, make, CARD)


def test_a_page_holds_the_whole_card() -> None:
    text = docs.page(entry("toy", "Similarity", Toy))
    assert "# Toy\n\nTwo things are alike when they are equal.\n" in text
    assert '> Doe and Roe, "A Title Over Two Lines", 2020.' in text
    assert text.count("A Title") == 1
    assert "```text\ns_ij = 1 if x_i = y_j else 0         (eq. 2)\n    where x is a thing\n```" in text
    assert "Differs from nothing." in text
    assert "| `scale` | `float` | `0.333333` | the factor on the score. |" in text
    assert "| `how` | `str \\| None` | `None` | a word or none. |" in text


def test_an_option_without_default_is_required_and_none_at_all_is_said() -> None:
    assert "| required |" in docs.page(entry("several", "Objective", Several))
    assert "It has no options." in docs.page(entry("plain", "Similarity", type("Plain", (), {})))


def test_the_index_lists_by_contract_and_says_what_objectives_need() -> None:
    text = docs.index([entry("several", "Objective", Several), entry("toy", "Similarity", Toy)])
    assert text.index("## Objective") < text.index("## Similarity")
    assert "| [`toy`](similarities/toy.md) | Toy | two things are alike when they are equal. | 2020 |" in text
    assert "| [`several`](objectives/several.md) | several captions, regions |" in text


@pytest.mark.parametrize(
    ("contract", "name"),
    [("PairLoss", "pair_losses"), ("Similarity", "similarities"), ("TextGenerator", "text_generators")],
)
def test_folder_names(contract: str, name: str) -> None:
    assert docs.folder(contract) == name


def test_writing_removes_the_pages_of_methods_that_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "similarities").mkdir()
    (tmp_path / "similarities" / "gone.md").write_text("old")
    monkeypatch.setattr(docs, "pages", lambda: {"index.md": "new\n", "similarities/toy.md": "toy\n"})
    assert docs.write(tmp_path) == 2
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()) == [
        "index.md",
        "similarities/toy.md",
    ]


def test_the_repository_holds_the_pages_that_the_docstrings_give() -> None:
    held = {p.relative_to(FOLDER).as_posix(): p.read_text(encoding="utf-8") for p in FOLDER.rglob("*.md")}
    assert held == docs.pages(), "the method pages are stale: run `make docs` and commit docs/methods"
