"""What makes an experiment another one: its description and its code, and nothing else."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from dovetail.contracts import Kind
from dovetail.data.worlds import Sampler, World
from dovetail.evaluation.claims import fingerprint
from dovetail.evaluation.claims.fingerprint import closure, code, describe, digest, modules_of
from dovetail.evaluation.claims.laboratory import RECIPE


@dataclass(frozen=True)
class Thing:
    size: int
    names: frozenset[str] = frozenset()
    seen: list[int] = field(default_factory=list, compare=False)


def test_a_description_is_plain_and_complete() -> None:
    assert describe(Thing(3, frozenset("ba"), [1])) == {"is": "Thing", "size": 3, "names": ["a", "b"]}
    assert describe({"k": (Kind.LONG, None, Path("a/b"))}) == {"k": ["Kind.LONG", None, "a/b"]}
    assert describe(World()) != describe(World(Sampler((2, 3))))
    assert describe(RECIPE) != describe(replace(RECIPE, settings=replace(RECIPE.settings, warmup=0.1)))
    with pytest.raises(TypeError, match="object cannot be described"):
        describe([object()])


def test_the_modules_of_a_thing_are_those_of_its_parts() -> None:
    assert {
        "dovetail.data.worlds.scenes",
        "dovetail.data.worlds.sampling",
        "dovetail.data.worlds.words.english",
    } <= set(modules_of([World()]))


def test_what_a_module_imports_is_followed() -> None:
    found = closure(["dovetail.methods.pair_losses.siglip"])
    assert {"dovetail.catalogue", "dovetail.contracts"} <= found
    assert "dovetail.methods.pair_losses.infonce" not in found, "another method's code is none of its own"
    assert "dovetail.ops.contrast" in closure(["dovetail.training.run"]) | closure(
        ["dovetail.methods.objectives.contrastive"]
    )


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package `toy` of two modules, in the place of dovetail."""
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "__init__.py").write_text("")
    (tmp_path / "toy" / "a.py").write_text("from toy.b import value\n\n\ndef f(x):\n    return value * x\n")
    (tmp_path / "toy" / "b.py").write_text("value = 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(fingerprint, "PACKAGE", "toy")
    _forget()
    yield tmp_path / "toy"
    _forget()
    for name in [n for n in sys.modules if n.split(".")[0] == "toy"]:
        del sys.modules[name]


def _forget() -> None:
    for cached in (fingerprint._tree, fingerprint._body, fingerprint._imports, fingerprint._exists):
        cached.cache_clear()


def _code(path: Path | None = None, text: str = "") -> str:
    if path:
        path.write_text(text)
    _forget()
    return code(["toy.a"])


def test_only_what_can_change_a_result_changes_the_hash(package: Path) -> None:
    first = _code()
    assert _code(package / "b.py", '"""What it holds."""\n\nvalue = 3  # three\n') == first
    assert (
        _code(package / "a.py", 'from toy.b import value\ndef f(x):\n    """Doc."""\n    return (value * x)\n') == first
    )
    assert _code(package / "b.py", "value = 4\n") != first, "of a module imported"
    assert _code(package / "b.py", "value = 3\n") == first
    assert _code(package / "a.py", "from toy.b import value\n\n\ndef f(x):\n    return value + x\n") != first


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})
