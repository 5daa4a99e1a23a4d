"""The source tree keeps the house rules."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.house import rules

ROOT = Path(__file__).resolve().parents[2]

# Modules without tests of their own, and what checks them instead.
EXCUSED = {
    "__init__.py": "hands on models.pretrained.load; tests/test_quickstart.py calls it",
    "contracts.py": "shapes and Protocols only; the suites in tests/contracts run everything against them",
}


@pytest.mark.parametrize(
    "rule",
    [
        rules.layers,
        rules.file_lengths,
        rules.function_lengths,
        rules.constructors,
        rules.blind_options,
        rules.loose_ends,
        rules.prints,
        rules.cards,
        rules.one_class,
        rules.machine_paths,
        rules.dead_links,
    ],
    ids=lambda rule: rule.__name__,
)
def test_rule(rule: Callable[[Path], list[str]]) -> None:
    broken = rule(ROOT)
    assert not broken, f"{rule.__doc__}\n" + "\n".join(broken)


def test_the_rules_see_the_source() -> None:
    seen = {rules.part(path) for path, _, _ in rules.sources(ROOT)}
    assert seen >= set(rules.RANK)
    assert list(rules.methods(ROOT))


def test_every_module_has_tests() -> None:
    broken = rules.untested(ROOT, EXCUSED)
    assert not broken, "\n".join(broken)


def test_titles_are_those_of_the_ledger() -> None:
    data = Path(os.environ.get("DOVETAIL_TEST_DATA", ROOT.parent / "shared" / "data"))
    ledger = data.parent / "ledger.json"
    if not ledger.is_file():
        pytest.skip(f"no ledger at {ledger}")
    broken = rules.titles(ROOT, ledger)
    assert not broken, "\n".join(broken)
