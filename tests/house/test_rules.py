"""Each house rule finds what it is there to find, and lets good source pass."""

import json
from pathlib import Path

import pytest

from tests.house import rules

CARD = '''"""Toy: a sentence of it.

Doe and Roe, "A Title
Over Two Lines", 2020.
"""
'''


def tree(root: Path, modules: dict[str, str]) -> Path:
    """A repository whose package holds `modules`, named without their `.py`."""
    return write(root, {f"src/dovetail/{name}.py": text for name, text in modules.items()})


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize(
    "line",
    [
        "import dovetail.cli.main",
        "from dovetail.models.dual_encoder import DualEncoder",
        "from dovetail import evaluation",
        "from dovetail import load",
        "from ..methods.pair_losses import siglip",
        "def f():\n    from dovetail.search import page",
        "if TYPE_CHECKING:\n    import dovetail.training",
    ],
)
def test_layers_finds_an_import_upwards(tmp_path: Path, line: str) -> None:
    assert len(rules.layers(tree(tmp_path, {"data/images": line}))) == 1


def test_layers_lets_imports_downwards_and_sideways_pass(tmp_path: Path) -> None:
    lines = ["import torch", "from dovetail.data import text", "from . import records", "from ..nn import vit"]
    front = "from dovetail.cli.main import main"
    tree(tmp_path, {"data/images": "\n".join(lines), "__init__": front, "cli/main": "from dovetail import load"})
    assert rules.layers(tmp_path) == []


@pytest.mark.parametrize("line", ["from dovetail.methods.pair_losses.infonce import InfoNCE", "from . import infonce"])
def test_layers_keeps_methods_apart(tmp_path: Path, line: str) -> None:
    assert "move what both need" in rules.layers(tree(tmp_path, {"methods/pair_losses/siglip": line}))[0]


def test_layers_finds_a_part_without_a_place(tmp_path: Path) -> None:
    assert "no place" in rules.layers(tree(tmp_path, {"utils/misc": "x = 1"}))[0]


def test_file_lengths(tmp_path: Path) -> None:
    write(tmp_path, {"tests/test_a.py": "x = 1\n" * 351, "tests/test_b.py": "x = 1\n" * 350})
    tree(tmp_path, {"methods/pair_losses/long": "x = 1\n" * 301, "ops/long": "x = 1\n" * 301})
    assert [line.partition(":")[0] for line in rules.file_lengths(tmp_path)] == [
        "src/dovetail/methods/pair_losses/long.py",
        "tests/test_a.py",
    ]


def test_function_lengths(tmp_path: Path) -> None:
    body = "    x = 1\n"
    tree(tmp_path, {"ops/a": "def fits():\n" + body * 59, "ops/b": "class A:\n  async def long(self):\n" + body * 60})
    assert [line.split()[1] for line in rules.function_lengths(tmp_path)] == ["long"]


def test_constructors(tmp_path: Path) -> None:
    many = ", ".join(f"a{i}" for i in range(12))
    fields = "".join(f"    a{i}: int\n" for i in range(13))
    modules = {
        "ops/a": f"class Fits:\n    def __init__(self, {many}): ...",
        "ops/b": f"class Many:\n    def __init__(self, {many}, *, a12): ...",
        "ops/c": f"@dataclass(frozen=True)\nclass Fields:\n{fields}",
        "ops/d": f"class Plain:\n{fields}",
        "ops/e": f"@dataclass\nclass Constant:\n    c: ClassVar[int] = 1\n{fields.replace('    a0: int', '')}",
    }
    assert [line.split()[1] for line in rules.constructors(tree(tmp_path, modules))] == ["Many", "Fields"]


def test_blind_options(tmp_path: Path) -> None:
    blind = "def blind(x, **kwargs): ..."
    tree(tmp_path, {"nn/a": blind, "cli/b": blind, "ops/c": "def f(*args): ..."})
    assert rules.blind_options(tmp_path) == ["nn/a.py: blind takes **kwargs"]


@pytest.mark.parametrize("line", ["raise NotImplementedError('later')", "x = 1  # TO" + "DO: more", '"""FIX' + 'ME"""'])
def test_loose_ends(tmp_path: Path, line: str) -> None:
    assert len(rules.loose_ends(tree(tmp_path, {"ops/a": line, "ops/b": "todos = 1"}))) == 1


def test_prints(tmp_path: Path) -> None:
    tree(tmp_path, {"training/a": "def f():\n    print('x')", "cli/b": "print('x')", "ops/c": "x.print()  # print(x)"})
    assert rules.prints(tmp_path) == ["training/a.py line 2: print"]


@pytest.mark.parametrize(
    ("old", "new", "broken"),
    [
        ("Toy: a", "Toy: a", 0),
        ("Toy: a sentence of it.", "Toy: a sentence of it", 1),
        ("Toy: a", "Toy, a", 1),
        (", 2020.", ".", 1),
        ('"A Title\nOver Two Lines"', "A Title", 1),
        (CARD, "x = 1", 2),
    ],
)
def test_cards(tmp_path: Path, old: str, new: str, broken: int) -> None:
    tree(tmp_path, {"methods/similarities/toy": CARD.replace(old, new), "methods/similarities/__init__": ""})
    assert len(rules.cards(tmp_path)) == broken


@pytest.mark.parametrize(
    ("path", "text", "broken"),
    [
        ("methods/pair_losses/a", "@implements(PairLoss)\nclass A: ...\nclass B: ...", 0),
        ("methods/similarities/a", "@catalogue.implements(contracts.Similarity)\nclass A: ...", 0),
        ("methods/similarities/a", "class A: ...", 1),
        ("methods/similarities/a", "@implements(Similarity)\nclass A: ...\n@implements(Similarity)\nclass B: ...", 1),
        ("methods/pair_losses/a", "@implements(Similarity)\nclass A: ...", 1),
        ("methods/similarities/deep/a", "@implements(Similarity)\nclass A: ...", 1),
    ],
)
def test_one_class(tmp_path: Path, path: str, text: str, broken: int) -> None:
    assert len(rules.one_class(tree(tmp_path, {path: text}))) == broken


@pytest.mark.parametrize(("title", "broken"), [("A Title Over Two Lines", 0), ("A Title over Two Lines", 1)])
def test_titles(tmp_path: Path, title: str, broken: int) -> None:
    write(tmp_path, {"ledger.json": json.dumps([{"slug": "toy", "title": title}, {"slug": "other", "title": "B"}])})
    tree(tmp_path, {"methods/similarities/toy": CARD, "methods/similarities/unlisted": CARD})
    assert len(rules.titles(tmp_path, tmp_path / "ledger.json")) == broken


def test_untested(tmp_path: Path) -> None:
    tree(tmp_path, dict.fromkeys(["ops/a", "ops/b", "data/sources/tables", "data/__init__", "catalogue"], "x = 1"))
    write(tmp_path, {"tests/ops/test_a_more.py": "", "tests/data/test_sources.py": "", "tests/nn/test_b.py": ""})
    assert rules.untested(tmp_path, {}) == ["catalogue.py: has no tests", "ops/b.py: has no tests"]
    assert rules.untested(tmp_path, {"ops/b.py": "why", "catalogue.py": "why"}) == []
    excused = {"ops/a.py": "why", "ops/b.py": "why", "catalogue.py": "why", "ops/gone.py": "why"}
    assert rules.untested(tmp_path, excused) == [
        "ops/a.py: is tested; take it off the list",
        "ops/gone.py: is excused from tests but does not exist",
    ]


@pytest.mark.parametrize(
    "line",
    ["see /ho" + "me/ann/x.py", "open('/wo" + "rk/a')", "[x](/Us" + "ers/ann)", "--index-url https://py" + "pi.org/"],
)
def test_machine_paths(tmp_path: Path, line: str) -> None:
    files = {"docs/a.md": f"one\n{line}\n", ".venv/b.py": line, "runs/c.txt": line, ".ci/run": "", "d.bin": "\0" + line}
    assert len(rules.machine_paths(write(tmp_path, files))) == 1


@pytest.mark.parametrize("line", ["runs/home/a", "{out}/work/a", "../work/a", "/usr/bin/env", "/data/photos"])
def test_machine_paths_lets_relative_and_common_paths_pass(tmp_path: Path, line: str) -> None:
    assert rules.machine_paths(write(tmp_path, {"a.md": line})) == []


def test_dead_links(tmp_path: Path) -> None:
    text = "[a](docs/a.md#part) [b](docs/b.md) ![c](c.png) [d](https://example.org/d) [e](#here)"
    write(tmp_path, {"README.md": text, "CONTRIBUTING.md": "", "docs/a.md": ""})
    assert [line.split()[3].rstrip(",") for line in rules.dead_links(tmp_path)] == ["docs/b.md", "c.png"]
