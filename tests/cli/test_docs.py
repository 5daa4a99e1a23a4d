"""The method pages: what a page says, and that those in the repository are those that docstrings and results give."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dovetail.catalogue import Entry
from dovetail.cli import docs
from dovetail.data.records import DataError
from dovetail.evaluation.claims.outcome import Outcome, outcomes
from tests.cli.test_claims_tables import README, outcome

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "methods"
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


def test_the_index_lists_by_contract_and_says_which_objectives_the_data_are_enough_for() -> None:
    text = docs.index([entry("several", "Objective", Several), entry("toy", "Similarity", Toy)])
    assert text.index("## Objective") < text.index("## Similarity")
    assert "| [`toy`](similarities/toy.md) | Toy | two things are alike when they are equal. | 2020 |" in text
    assert "| several captions, regions | [`several`](objectives/several.md) | Give every image more than one" in text
    assert "## Claims\n\nNo claim has been measured yet." in text


def test_a_claim_stands_on_the_page_of_its_method_only() -> None:
    found = [outcome(), outcome({"key": "other"}), outcome({"contract": "Objective"})]
    assert docs.page(entry("toy", "Similarity", Toy), found).count("dovetail verify") == 1
    assert "No claim has been measured yet." in docs.page(entry("several", "Objective", Several), found)
    assert "| [`toy`](similarities/toy.md) | Toy tells swapped" in docs.index([entry("toy", "Similarity", Toy)], found)


@pytest.mark.parametrize(
    ("contract", "name"),
    [("PairLoss", "pair_losses"), ("Similarity", "similarities"), ("TextGenerator", "text_generators")],
)
def test_folder_names(contract: str, name: str) -> None:
    assert docs.folder(contract) == name


def test_writing_removes_the_pages_of_methods_that_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "similarities").mkdir()
    (tmp_path / "similarities" / "gone.md").write_text("old")
    monkeypatch.setattr(docs, "pages", lambda _: {"index.md": "new\n", "similarities/toy.md": "toy\n"})
    assert docs.write(tmp_path) == 2
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()) == [
        "index.md",
        "similarities/toy.md",
    ]


def claims(key: str) -> list[Outcome]:
    """One, of the pair loss `key`."""
    return [outcome({"key": key, "contract": "PairLoss"})]


def test_results_are_told_on_the_pages_and_in_the_readme(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(README)
    found = claims("siglip")
    found[0].write(tmp_path / "results" / "siglip.json")
    (tmp_path / "results" / "other.json").write_text('{"figures": {}}')
    docs.docs(tmp_path / "docs" / "methods")
    assert "**reproduced**" in (tmp_path / "docs" / "methods" / "pair_losses" / "siglip.md").read_text()
    index = (tmp_path / "docs" / "methods" / "index.md").read_text()
    assert "| [`siglip`](pair_losses/siglip.md) | Toy tells" in index
    assert "| [`siglip`](docs/methods/pair_losses/siglip.md) | Toy tells" in (tmp_path / "README.md").read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["README.md", "docs", "results"]
    assert not list(tmp_path.rglob("*.part"))
    assert stale(tmp_path) == []
    (tmp_path / "results" / "siglip.json").unlink()
    assert stale(tmp_path) == ["README.md", "index.md", "pair_losses/siglip.md"]


def test_it_runs_without_results_readme_or_repository(tmp_path: Path) -> None:
    docs.docs(tmp_path / "docs" / "methods")
    assert "No claim has been measured yet." in (tmp_path / "docs" / "methods" / "index.md").read_text()
    (tmp_path / "README.md").write_text("no markers")
    docs.docs(tmp_path / "pages")
    assert docs.repository(tmp_path / "pages") is None and (tmp_path / "README.md").read_text() == "no markers"


def test_a_readme_without_its_markers_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("no markers")
    with pytest.raises(DataError, match="<!-- claims -->"):
        docs.docs(tmp_path / "docs" / "methods")
    assert [p.name for p in tmp_path.iterdir()] == ["README.md"]


def stale(root: Path) -> list[str]:
    """The pages below docs/methods, and the README, that differ from what docstrings and results give."""
    found, folder = outcomes(root / "results"), root / "docs" / "methods"
    held = {p.relative_to(folder).as_posix(): p.read_text(encoding="utf-8") for p in folder.rglob("*.md")}
    wanted = docs.pages(found)
    held["README.md"] = (root / "README.md").read_text(encoding="utf-8")
    wanted["README.md"] = docs.readme(held["README.md"], found)
    return sorted(name for name in held.keys() | wanted.keys() if held.get(name) != wanted.get(name))


def test_the_repository_holds_the_pages_that_docstrings_and_results_give() -> None:
    assert stale(ROOT) == [], "stale pages: run `make docs` and commit docs/methods and README.md"
