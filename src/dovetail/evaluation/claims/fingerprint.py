"""What an experiment depends on, as a hash: its description in plain values, and the code that carries it out.

The code is that of the modules named and of all they import of this package, without comments, docstrings and layout:
what cannot change a result does not make it stale.
"""

import ast
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGE = "dovetail"
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def describe(thing: Any) -> Any:
    """Plain JSON values that say what `thing` is: of a dataclass its name and the fields that are compared.

    Raises TypeError for anything that is neither plain nor a dataclass.
    """
    if isinstance(thing, Enum):
        return f"{type(thing).__name__}.{thing.name}"
    if thing is None or isinstance(thing, str | int | float | bool):
        return thing
    if is_dataclass(thing) and not isinstance(thing, type):
        held = {f.name: describe(getattr(thing, f.name)) for f in fields(thing) if f.compare}
        return {"is": type(thing).__name__, **held}
    if isinstance(thing, Mapping):
        return {str(k): describe(v) for k, v in thing.items()}
    if isinstance(thing, frozenset | set):
        return sorted(describe(v) for v in thing)
    if isinstance(thing, list | tuple):
        return [describe(v) for v in thing]
    if isinstance(thing, Path):
        return str(thing)
    raise TypeError(
        f"{type(thing).__name__} cannot be described; an experiment is made of dataclasses and plain values"
    )


def modules_of(thing: Any) -> Iterator[str]:
    """The modules of this package whose classes `thing` is made of."""
    module = type(thing).__module__
    if module.split(".")[0] == PACKAGE:
        yield module
    if is_dataclass(thing) and not isinstance(thing, type):
        for f in fields(thing):
            yield from modules_of(getattr(thing, f.name))
    elif isinstance(thing, list | tuple | set | frozenset):
        for part in thing:
            yield from modules_of(part)
    elif isinstance(thing, Mapping):
        for part in thing.values():
            yield from modules_of(part)


def digest(*parts: Any) -> str:
    """A hash of plain values, 32 hexadecimal digits."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def code(modules: Iterable[str]) -> str:
    """A hash of the code of `modules` and of all that they import of this package."""
    return digest(sorted((name, _body(name)) for name in closure(modules)))


def closure(modules: Iterable[str]) -> set[str]:
    """The modules and all they import of this package, however indirectly."""
    seen: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += _imports(name)
    return seen


@cache
def _tree(module: str) -> ast.Module:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{module} has no source that could be read")
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


@cache
def _body(module: str) -> str:
    """The code of a module; positions, comments and layout are no part of a tree, and docstrings are left out."""
    return blake2b(repr(_canonical(_tree(module))).encode(), digest_size=16).hexdigest()


def _canonical(node: Any) -> Any:
    """A syntax tree as tuples, the same in every version of Python: what is empty, and so may be new, does not
    count."""
    if isinstance(node, list):
        return [_canonical(part) for part in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    held = dict(ast.iter_fields(node))
    if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
        held["body"] = node.body[1:]
    return type(node).__name__, [(k, _canonical(v)) for k, v in sorted(held.items()) if v is not None and v != []]


@cache
def _imports(module: str) -> tuple[str, ...]:
    """What a module imports of this package: modules, whether named as such or as the home of a name."""
    found: set[str] = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(sorted(name for name in found if name.startswith(f"{PACKAGE}.") and _exists(name)))


@cache
def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent is a module, not a package: a name in it
        return False
