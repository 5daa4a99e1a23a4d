"""The catalogue finds methods by name, makes them from short texts without executing anything, and makes them again."""

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dovetail import catalogue
from dovetail.catalogue import (
    CatalogueError,
    Entry,
    build,
    configuration,
    contract_named,
    discover,
    entries,
    entry_of,
    implements,
    lookup,
    rebuild,
)
from dovetail.contracts import Encoder, Objective, PairLoss, Similarity

CARD = 'Hinge: a margin.\n\nDoe and Roe, "The Exact Title", 2020.\n\n    L = max(0, m - s)'


def test_every_file_is_found_under_its_name_and_folder() -> None:
    folder = Path(catalogue.__file__).parent / "methods"
    files = sorted(p.stem for p in folder.rglob("*.py") if p.stem != "__init__")
    assert sorted(e.key for e in entries()) == files
    assert [e.key for e in entries(PairLoss)] == sorted(p.stem for p in (folder / "pair_losses").glob("[!_]*.py"))
    assert all(e.contract == "PairLoss" for e in entries(PairLoss))


def test_a_card_is_read_from_the_docstring() -> None:
    entry = Entry("PairLoss", "hinge", object, CARD)
    assert (entry.name, entry.summary) == ("Hinge", "a margin.")
    assert entry.citation.groupdict() == {"authors": "Doe and Roe", "title": "The Exact Title", "year": "2020"}
    with pytest.raises(CatalogueError, match='no line of the form: Authors, "Title", year'):
        Entry("PairLoss", "hinge", object, "Hinge: a margin.").citation  # noqa: B018


def test_a_decorator_registers_a_class_under_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("dovetail.methods.pair_losses.hinge", CARD)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(catalogue, "_entries", {})
    made = type("Hinge", (), {"__module__": module.__name__})
    assert implements(PairLoss)(made) is made
    assert catalogue._entries == {("PairLoss", "hinge"): Entry("PairLoss", "hinge", made, CARD)}


@pytest.mark.parametrize(
    "name, answer",
    [("siglop", "did you mean siglip"), ("SigLIP", "did you mean siglip"), ("info_nce", "did you mean infonce")],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, answer: str) -> None:
    with pytest.raises(CatalogueError, match=f"no PairLoss is called '{name}'; {answer}"):
        lookup(name, PairLoss)


def test_a_name_like_no_other_is_answered_with_all_there_are() -> None:
    with pytest.raises(
        CatalogueError, match=r"no PairLoss or Similarity is called 'qqq'; there are: .*cosine.*infonce"
    ):
        lookup("qqq", PairLoss, Similarity)
    with pytest.raises(CatalogueError, match=r"no method is called 'qqq'.*`dovetail methods` lists all"):
        lookup("qqq")


def test_a_method_of_another_contract_is_not_found() -> None:
    assert lookup("cosine").contract == lookup("cosine", PairLoss, Similarity).contract == "Similarity"
    with pytest.raises(CatalogueError, match="no PairLoss is called 'cosine'"):
        lookup("cosine", PairLoss)


class _FilipObjective:
    def __init__(self, similarity: Similarity | None = None):
        self.similarity = similarity


class _FilipSimilarity:
    symmetric, tokens = False, True

    def prepare(self, features: Any) -> Any: ...

    def scores(self, rows: Any, cols: Any) -> Any: ...


@pytest.fixture
def twins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A paper that proposes an objective and a similarity of one name."""
    found = dict(discover())
    for contract, made in (("Objective", _FilipObjective), ("Similarity", _FilipSimilarity)):
        found[contract, "filip"] = Entry(contract, "filip", made, CARD)
    monkeypatch.setattr(catalogue, "discover", lambda: found)


@pytest.mark.usefixtures("twins")
def test_of_two_methods_of_one_name_the_contract_decides() -> None:
    assert lookup("filip", Similarity).make is _FilipSimilarity
    assert lookup("filip", Objective, Similarity).make is _FilipObjective
    assert lookup("filip", Similarity, Objective).make is _FilipSimilarity, "the order of the contracts counts"
    made = build("filip(similarity=filip)", Objective)
    assert isinstance(made, _FilipObjective) and isinstance(made.similarity, _FilipSimilarity)
    assert isinstance(build("filip(filip)", Objective).similarity, _FilipSimilarity)
    assert isinstance(rebuild(configuration(made)).similarity, _FilipSimilarity)


UNSET = dict.fromkeys(("pool", "repool", "hidden", "out"))  # of timm


@pytest.mark.parametrize(
    "spec, options",
    [
        ("siglip", {"initial_scale": 10.0, "initial_bias": -10.0}),
        ("siglip()", {"initial_scale": 10.0, "initial_bias": -10.0}),
        (" siglip(initial_bias=-5, initial_scale=2e1) ", {"initial_scale": 20.0, "initial_bias": -5}),
        ("siglip(3.0)", {"initial_scale": 3.0, "initial_bias": -10.0}),
        (
            "vit(size=32, patch=8, width=16, depth=1, heads=2)",
            {"size": 32, "patch": 8, "width": 16, "depth": 1, "heads": 2},
        ),
        ("timm:test_resnet", {"name": "test_resnet", "size": 160, "pretrained": False, **UNSET}),
        ("timm(name='test_resnet', size=None)", {"name": "test_resnet", "size": 160, "pretrained": False, **UNSET}),
    ],
)
def test_a_short_text_becomes_an_object(spec: str, options: dict[str, Any]) -> None:
    assert configuration(build(spec))["options"] == options


def test_texts_nest() -> None:
    made = build("contrastive(loss=siglip(initial_bias=-5), similarity=cosine)", Objective)
    assert made.loss.initial_bias == -5
    assert entry_of(made.similarity).key == "cosine"


@pytest.mark.parametrize(
    "spec, answer",
    [
        ("sigllip(1)", "did you mean siglip"),
        ("tim:resnet18", "no Encoder is called 'tim'; did you mean timm"),
        (
            "siglip(bias=1)",
            r"unexpected keyword argument 'bias'; siglip takes \(initial_scale: float = 10.0, initial_bias",
        ),
        ("siglip(1, 2, 3)", "too many positional arguments; siglip takes"),
        ("siglip(1, initial_scale=2)", "multiple values for argument 'initial_scale'"),
        ("siglip(**{'initial_scale': 2})", "unexpected keyword argument 'None'"),
        ("siglip(*[1, 2])", r"\*\[1, 2\] is neither a number, a text, a list nor a method"),
        ("contrastive(loss=cosine, similarity=cosine)", "no PairLoss is called 'cosine'"),
        ("contrastive(loss=siglipp, similarity=cosine)", "no PairLoss is called 'siglipp'; did you mean siglip"),
        ("timm", "missing a required argument: 'name'"),
        ("", "is not of the form name, name:argument or name"),
        ("siglip(", "is not of the form"),
        ("a.b", "is not of the form"),
        ("sig\0lip", "is not of the form"),
        ("siglip(initial_scale={[]: 1})", "is neither a number, a text, a list nor a method"),
        ("'siglip'", "is not of the form"),
    ],
)
def test_a_bad_text_is_refused_with_what_would_be_right(spec: str, answer: str) -> None:
    among = (Encoder,) if spec.startswith("tim:") else ()
    with pytest.raises(CatalogueError, match=answer):
        build(spec, *among)


@pytest.mark.parametrize(
    "argument",
    [
        "open('{}', 'w')",
        "__import__('os').system('touch {}')",
        "(lambda: open('{}', 'w'))()",
        "[open('{}', 'w')]",
        "[open(x, 'w') for x in ['{}']]",
        'f\'{{open("{}", "w")}}\'',
        "1 if open('{}', 'w') else 2",
        "(x := open('{}', 'w'))",
    ],
)
def test_nothing_is_executed(argument: str, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    for spec in (f"siglip(initial_scale={argument})", f"siglip({argument})", argument):
        with pytest.raises(CatalogueError):
            build(spec.format(touched))
    assert not touched.exists()


def test_a_configuration_is_json_and_comes_back() -> None:
    made = build("contrastive(loss=siglip(initial_bias=-5.5), similarity=cosine)")
    stored = json.loads(json.dumps(configuration(made)))
    loss = {"contract": "PairLoss", "method": "siglip", "options": {"initial_scale": 10.0, "initial_bias": -5.5}}
    assert stored["method"] == "contrastive" and stored["options"]["loss"] == loss
    again = rebuild(stored)
    assert again.loss.initial_bias == -5.5 and again is not made
    assert configuration(again) == configuration(made)


def test_what_is_not_in_the_catalogue_is_named() -> None:
    with pytest.raises(CatalogueError, match=r"builtins\.object is not in the catalogue"):
        configuration(object())
    with pytest.raises(CatalogueError, match="no contract is called 'PairLos'"):
        contract_named("PairLos")
    with pytest.raises(CatalogueError, match="no contract is called 'torch'"):
        rebuild({"contract": "torch", "method": "siglip", "options": {}})
    with pytest.raises(CatalogueError, match="no PairLoss is called 'gone'"):
        rebuild({"contract": "PairLoss", "method": "gone", "options": {}})
    with pytest.raises(CatalogueError, match="unexpected keyword argument 'old'"):
        rebuild({"contract": "PairLoss", "method": "siglip", "options": {"old": 1}})
