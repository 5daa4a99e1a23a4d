"""Everything that implements a contract, found by walking `dovetail.methods`: the only registry.

A method's file name is its key, its docstring its card, its constructor's signature its configuration.
"""

import ast
import difflib
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, TypeVar, get_args

from dovetail import contracts


class CatalogueError(ValueError):
    """A name, or an option of it, that the catalogue does not have. The message says what it does have."""


@dataclass(frozen=True)
class Entry:
    """One method: which contract it implements, its key, its class and its card."""

    contract: str
    key: str
    make: type
    card: str

    @property
    def summary(self) -> str:
        """The card's first line, without the name in front."""
        return self.card.splitlines()[0].partition(": ")[2].strip()

    @property
    def name(self) -> str:
        """The name the paper uses, as the card's first line begins."""
        return self.card.splitlines()[0].partition(":")[0].strip()

    @property
    def citation(self) -> re.Match[str]:
        """The card's citation, with the groups `authors`, `title` and `year`."""
        found = CITATION.search(self.card)
        if found is None:
            wanted = 'the docstring has no line of the form: Authors, "Title", year.'
            raise CatalogueError(f"{self.make.__module__}: {wanted}")
        return found

    @property
    def options(self) -> dict[str, inspect.Parameter]:
        """The constructor's parameters by name."""
        return dict(inspect.signature(self.make).parameters)

    @property
    def requires(self) -> tuple[str, ...]:
        """What the data must have; nothing where the class does not say."""
        stated = getattr(self.make, "requires", ())
        return stated if isinstance(stated, tuple) else ()


C = TypeVar("C", bound=type)
CITATION = re.compile(r'^(?P<authors>[^"\n]+?),\s+"(?P<title>[^"]+)",\s+(?P<year>\d{4})\.', re.MULTILINE)
_entries: dict[tuple[str, str], Entry] = {}


def implements(contract: type) -> Callable[[C], C]:
    """Class decorator: registers the one public class of a method's file under the file's name."""

    def register(cls: C) -> C:
        module = importlib.import_module(cls.__module__)
        key = cls.__module__.rpartition(".")[2]
        _entries[contract.__name__, key] = Entry(contract.__name__, key, cls, inspect.cleandoc(module.__doc__ or ""))
        return cls

    return register


@cache
def discover() -> dict[tuple[str, str], Entry]:
    """Imports every module under `dovetail.methods` and returns all entries by (contract, key)."""
    methods = importlib.import_module("dovetail.methods")
    for module in pkgutil.walk_packages(methods.__path__, "dovetail.methods."):
        importlib.import_module(module.name)
    return dict(sorted(_entries.items()))


def entries(contract: type | None = None) -> list[Entry]:
    """All entries, or those of one contract, sorted by key."""
    return [e for e in discover().values() if contract is None or e.contract == contract.__name__]


def lookup(key: str, *among: type) -> Entry:
    """The entry called `key`, of any of the contracts `among` (of all, when none is named); of several, of the first.

    Raises CatalogueError with the nearest names when there is none.
    """
    kinds = [c.__name__ for c in among]
    wanted = [e for e in discover().values() if not kinds or e.contract in kinds]
    named = sorted((e for e in wanted if e.key == key), key=lambda e: kinds.index(e.contract) if kinds else 0)
    if named:
        return named[0]
    known = sorted({e.key for e in wanted})
    near = difflib.get_close_matches(key.lower(), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known)}."
    kind = " or ".join(kinds) or "method"
    raise CatalogueError(f"no {kind} is called {key!r}; {hint} `dovetail methods` lists all.")


def build(spec: str, *among: type) -> Any:
    """Makes the object that a short text describes: `siglip`, `siglip(initial_bias=-5)`, `timm:resnet18`,
    `contrastive(loss=siglip, similarity=cosine)`. Arguments are literals or such texts again, of the contract that the
    option is annotated with; nothing is executed.

    Raises CatalogueError for an unknown name, an unknown option or a text of another form.
    """
    key, colon, argument = spec.partition(":")
    if colon and key.isidentifier():
        return _make(lookup(key, *among), [argument], {}, spec)
    try:
        tree = ast.parse(spec.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:  # ValueError: a text with null bytes
        raise CatalogueError(f"{spec!r} is not of the form name, name:argument or name(option=value, ...)") from error
    return _build(tree, among, spec)


def _build(node: ast.expr, among: tuple[type, ...], spec: str) -> Any:
    call = node if isinstance(node, ast.Call) else None
    name = call.func if call else node
    if not isinstance(name, ast.Name):
        raise CatalogueError(f"{spec!r} is not of the form name, name:argument or name(option=value, ...)")
    entry = lookup(name.id, *among)
    kinds: dict[str | int, tuple[type, ...]] = {k: _contracts_in(p.annotation) for k, p in entry.options.items()}
    kinds |= dict(enumerate(kinds.values()))  # an option is given by name or by its place
    args = [_value(a, kinds.get(i, ()), spec) for i, a in enumerate(call.args)] if call else []
    options = {str(k.arg): _value(k.value, kinds.get(str(k.arg), ()), spec) for k in call.keywords} if call else {}
    return _make(entry, args, options, spec)


def _contracts_in(annotation: Any) -> tuple[type, ...]:
    """The contracts that an option's annotation names: `PairLoss`, `PairLoss | None`."""
    return tuple(hint for hint in (annotation, *get_args(annotation)) if hint in _contracts())


@cache
def _contracts() -> tuple[type, ...]:
    return tuple(c for c in vars(contracts).values() if getattr(c, "_is_protocol", False) and c is not Protocol)


def _value(node: ast.expr, among: tuple[type, ...], spec: str) -> Any:
    if isinstance(node, ast.Name | ast.Call):
        return _build(node, among, spec)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError) as error:
        what = ast.unparse(node)
        raise CatalogueError(f"{spec!r}: {what} is neither a number, a text, a list nor a method") from error


def _make(entry: Entry, args: list[Any], options: dict[str, Any], spec: str) -> Any:
    try:
        inspect.signature(entry.make).bind(*args, **options)
    except TypeError as error:
        signature = ", ".join(str(p) for p in entry.options.values())
        raise CatalogueError(f"{spec!r}: {error}; {entry.key} takes ({signature})") from error
    try:
        return entry.make(*args, **options)
    except (TypeError, ValueError) as error:
        raise CatalogueError(f"{spec!r}: {error}") from error


def contract_named(name: str) -> type:
    """The contract's class by its name. Raises CatalogueError when there is none."""
    found = getattr(contracts, name, None)
    if not isinstance(found, type):
        raise CatalogueError(f"no contract is called {name!r}")
    return found


def entry_of(thing: Any) -> Entry:
    """The entry whose class made `thing`. Raises CatalogueError when its class is not in the catalogue."""
    for entry in discover().values():
        if entry.make is type(thing):
            return entry
    raise CatalogueError(f"{type(thing).__module__}.{type(thing).__name__} is not in the catalogue")


def configuration(thing: Any) -> dict[str, Any]:
    """What it takes to make `thing` again, as JSON: its contract, key and the value of every constructor argument.

    Every class in the catalogue keeps its constructor's arguments as attributes of the same names (scikit-learn's
    convention), so nothing has to be written down twice.
    """
    entry = entry_of(thing)
    options = {name: _plain(getattr(thing, name)) for name in entry.options}
    return {"contract": entry.contract, "method": entry.key, "options": options}


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, str | int | float | bool | dict | None):
        return value
    return configuration(value)


def rebuild(config: Mapping[str, Any]) -> Any:
    """Makes the thing that `configuration` described. Raises CatalogueError when this version does not know it."""
    entry = lookup(config["method"], contract_named(config["contract"]))
    return _make(entry, [], {k: _whole(v) for k, v in config["options"].items()}, config["method"])


def _whole(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"contract", "method", "options"}:
        return rebuild(value)
    return [_whole(v) for v in value] if isinstance(value, list) else value
