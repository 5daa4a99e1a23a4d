"""Every method finds its place, by what its file is made of."""

import importlib

import pytest

from dovetail.catalogue import entries, lookup
from dovetail.cli import taxonomy
from dovetail.cli.docs import SURVEY, pages
from dovetail.cli.taxonomy import TAXONOMY, Row, belongs, imports, page, sorted_into
from dovetail.contracts import Objective, PairLoss

ROWS = [row for rows in TAXONOMY.values() for row in rows]


def test_every_method_stands_somewhere_and_every_row_has_one() -> None:
    placed = {(e.contract, e.key) for rows in sorted_into(entries()).values() for _, held in rows for e in held}
    lost = [f"{e.contract} {e.key}" for e in entries() if (e.contract, e.key) not in placed]
    assert not lost, lost
    empty = [row.name for row in ROWS if not any(belongs(e, row) for e in entries())]
    assert not empty, empty


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_names_what_there_is(row: Row) -> None:
    for block in row.blocks:
        if block.startswith("methods."):
            assert lookup(block.removeprefix("methods."))
            continue
        try:
            importlib.import_module(f"dovetail.{block}")
        except ModuleNotFoundError:
            module, _, name = block.rpartition(".")
            assert hasattr(importlib.import_module(f"dovetail.{module}"), name), block


def test_methods_stand_where_they_belong() -> None:
    rows = {row.name: row for row in ROWS}
    for key, contract, named in (
        ("siglip", PairLoss, "image with text"),
        ("negclip", Objective, "with hard negatives"),
        ("sparc", Objective, "patch with word or sentence"),
        ("slip", Objective, "image with image"),
        ("byolip", Objective, "from a teacher that trails"),
    ):
        assert belongs(lookup(key, contract), rows[named]), key
    assert not belongs(lookup("sparc", Objective), rows["with hard negatives"])


def test_imports_are_modules_and_names() -> None:
    found = imports(lookup("negclip", Objective))
    assert {"ops.contrast", "ops.contrast.contrast", "contracts"} <= found


def test_the_page_links_to_every_method() -> None:
    text = page(entries(), {(e.contract, e.key): f"{e.contract}/{e.key}.md" for e in entries()})
    assert taxonomy.TITLE in text and all(f"({e.contract}/{e.key}.md)" in text for e in entries())
    assert SURVEY in pages()
