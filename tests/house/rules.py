"""The house rules: each reads a source tree and returns what breaks it, a line each. The package is never imported."""

import ast
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

LAYERS = (
    {"contracts", "catalogue"},
    {"ops"},
    {"nn"},
    {"data"},
    {"models"},
    {"training", "evaluation"},
    {"methods"},
    {"search"},
    {"cli"},
)
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}
FILE_LINES, METHOD_LINES, FUNCTION_LINES, PARAMETERS = 350, 300, 60, 12
NO_BLIND_OPTIONS = {"ops", "nn", "models", "methods"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(root: Path) -> Iterator[tuple[Path, str, ast.Module]]:
    """Every module of the package: its path below src/dovetail, its text and its tree."""
    package = root / "src" / "dovetail"
    for path in sorted(package.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        yield path.relative_to(package), text, ast.parse(text)


def part(path: Path) -> str:
    """The part of the package that a module belongs to: `ops/contrast.py` -> `ops`."""
    return path.parts[0].removesuffix(".py")


# Layers


def layers(root: Path) -> list[str]:
    """Imports go one way, and a method knows of no other method."""
    broken = []
    for path, _, tree in sources(root):
        if path == Path("__init__.py"):  # the front door hands on what lies behind it
            continue
        here = part(path)
        if here not in RANK and here != "__main__":
            broken.append(f"{path}: {here} has no place among the layers")
            continue
        for target in imported(path, tree):
            there = target[0] if target else "the front door"
            if here in ("cli", "__main__"):
                continue
            if there not in RANK or RANK[there] > RANK[here]:
                broken.append(f"{path}: imports {there}, which lies above {here}")
            if here == there == "methods":
                broken.append(f"{path}: imports the method {'.'.join(target[1:])}; move what both need to ops or nn")
    return broken


def imported(path: Path, tree: ast.Module) -> Iterator[list[str]]:
    """What a module imports of the package, as the parts of the name after `dovetail`."""
    package = ["dovetail", *path.parts[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = base + (node.module.split(".") if node.module else [])
            names = [[*module, alias.name] for alias in node.names] if module == ["dovetail"] else [module]
        else:
            continue
        yield from (name[1:] for name in names if name[0] == "dovetail")


# Budgets


def file_lengths(root: Path) -> list[str]:
    """A file is one idea and a method's file shorter still."""
    broken = []
    for path in sorted(p for top in ("src", "tests", "benchmarks") for p in (root / top).rglob("*.py")):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        most = METHOD_LINES if "methods" in path.parts and "src" in path.parts else FILE_LINES
        if lines > most:
            broken.append(f"{path.relative_to(root)}: {lines} lines, at most {most}")
    return broken


def function_lengths(root: Path) -> list[str]:
    """A function fits a screen, its docstring aside: a command's explains every option."""
    return [
        f"{path}: {function.name} has {length} lines, at most {FUNCTION_LINES}"
        for path, _, tree in sources(root)
        for function in functions(tree)
        if (length := (function.end_lineno or 0) - function.lineno + 1 - docstring_lines(function)) > FUNCTION_LINES
    ]


def docstring_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many lines of a function are its docstring."""
    first = function.body[0]
    return 0 if ast.get_docstring(function) is None else (first.end_lineno or 0) - first.lineno + 1


def constructors(root: Path) -> list[str]:
    """A class is configured by few options: those of `__init__`, or the fields of a dataclass."""
    return [
        f"{path}: {cls.name} takes {len(options)} options, at most {PARAMETERS}"
        for path, _, tree in sources(root)
        for cls in classes(tree)
        if len(options := parameters(cls)) > PARAMETERS
    ]


def blind_options(root: Path) -> list[str]:
    """No `**kwargs` where mathematics is written: an option that is misspelt must be an error."""
    return [
        f"{path}: {function.name} takes **{function.args.kwarg.arg}"
        for path, _, tree in sources(root)
        if part(path) in NO_BLIND_OPTIONS
        for function in functions(tree)
        if function.args.kwarg
    ]


def functions(tree: ast.Module) -> list[Function]:
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def classes(tree: ast.Module) -> list[ast.ClassDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def parameters(cls: ast.ClassDef) -> list[str]:
    """The names a class is constructed with."""
    for node in cls.body:
        if isinstance(node, Function) and node.name == "__init__":
            return [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)][1:]
    if any("dataclass" in ast.unparse(decorator) for decorator in cls.decorator_list):
        fields = [node for node in cls.body if isinstance(node, ast.AnnAssign)]
        return [ast.unparse(f.target) for f in fields if "ClassVar" not in ast.unparse(f.annotation)]
    return []


# What is left open


def loose_ends(root: Path) -> list[str]:
    """Nothing is promised in the source that it does not do."""
    marks = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b")
    broken = []
    for path, text, tree in sources(root):
        broken += [f"{path} line {n}: left open: {line.strip()}" for n, line in numbered(text) if marks.search(line)]
        names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        broken += [f"{path} line {n.lineno}: NotImplementedError" for n in names if n.id == "NotImplementedError"]
    return broken


def prints(root: Path) -> list[str]:
    """The library is silent; the commands speak."""
    return [
        f"{path} line {node.lineno}: print"
        for path, _, tree in sources(root)
        if part(path) not in ("cli", "__main__")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]


def numbered(text: str) -> Iterator[tuple[int, str]]:
    return enumerate(text.splitlines(), 1)


# A method's file is its paper's card


def methods(root: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path, _, tree in sources(root):
        if part(path) == "methods" and path.name != "__init__.py":
            yield path, tree


def cards(root: Path) -> list[str]:
    """A method's docstring opens with `Name: sentence.` and cites its paper on a line of its own."""
    broken = []
    for path, tree in methods(root):
        card = ast.get_docstring(tree) or ""
        if not re.match(r"[^:\n]+: \S[^\n]*\.(\n|$)", card):
            broken.append(f"{path}: the docstring's first line is not of the form `Name: sentence.`")
        if cited(card) is None:
            broken.append(f'{path}: the docstring has no line of the form `Authors, "Exact Title", YEAR.`')
    return broken


def cited(card: str) -> str | None:
    """The title a card cites, on one line."""
    found = re.search(r'^[^"\s][^"\n]*, "([^"]+)", \d{4}\.', card, re.MULTILINE)
    return " ".join(found[1].split()) if found else None


def one_class(root: Path) -> list[str]:
    """A method's file registers exactly one class, with the contract that its folder is named for."""
    broken = []
    for path, tree in methods(root):
        found = [
            ast.unparse(decorator.args[0]).rpartition(".")[2]
            for cls in classes(tree)
            for decorator in cls.decorator_list
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("implements") and decorator.args
        ]
        if len(found) != 1:
            broken.append(f"{path}: {len(found)} classes carry @implements(...), there must be one")
        elif plural(found[0]) != path.parts[1] or len(path.parts) != 3:
            broken.append(f"{path}: a {found[0]} belongs in methods/{plural(found[0])}")
    return broken


def plural(contract: str) -> str:
    """`PairLoss` -> `pair_losses`."""
    words = re.sub(r"(?<!^)(?=[A-Z])", "_", contract).lower()
    return re.sub("y$", "ies", words) if words.endswith("y") else words + ("es" if words.endswith("s") else "s")


def titles(root: Path, ledger: Path) -> list[str]:
    """A method that the ledger lists cites the ledger's title, letter by letter."""
    exact = {row["slug"]: " ".join(row["title"].split()) for row in json.loads(ledger.read_text(encoding="utf-8"))}
    broken = []
    for path, tree in methods(root):
        title = cited(ast.get_docstring(tree) or "")
        if path.stem in exact and title != exact[path.stem]:
            broken.append(f"{path}: cites {title!r}; the ledger has {exact[path.stem]!r}")
    return broken


# Tests mirror the source


def untested(root: Path, excused: dict[str, str]) -> list[str]:
    """Every module has tests under its own name, or under its package's, in the same part of tests/."""
    tests = root / "tests"
    broken = []
    for path, _, tree in sources(root):
        if path.name in ("__init__.py", "__main__.py") and not functions(tree):
            continue
        names = [*path.parts[1:-1], path.stem] if len(path.parts) > 1 else [path.stem]
        folder = tests / path.parts[0] if len(path.parts) > 1 else tests
        found = any(next(folder.rglob(f"test_{name}*.py"), None) for name in names if name != "__init__")
        if found == (path.as_posix() in excused):
            broken.append(f"{path}: {'is tested; take it off the list' if found else 'has no tests'}")
    gone = [name for name in excused if not (root / "src" / "dovetail" / name).is_file()]
    return broken + [f"{name}: is excused from tests but does not exist" for name in gone]


# Text that belongs to one machine

ELSEWHERE = {"runs", "site", "dist", "build", "node_modules"}  # and all that is hidden, but for .ci
MACHINE = re.compile(r"(?<![\w.}\]$*-])/(home|root|Users|work|mnt|opt)/[\w.]")
HOST = re.compile(r"(?i)\b(pypi\.org|pythonhosted\.org|pytorch\.org/whl|npmjs\.(org|com)|debian\.org|conda\.anaconda)")


def machine_paths(root: Path) -> list[str]:
    """No path of somebody's machine and no address of a package index: both are the user's to choose."""
    return [
        f"{path.relative_to(root)} line {n}: {found[0]}"
        for path, text in texts(root)
        for n, line in numbered(text)
        if (found := MACHINE.search(line) or HOST.search(line))
    ]


def dead_links(root: Path) -> list[str]:
    """What the two pages at the root link to exists. (mkdocs checks the links of the site.)"""
    return [
        f"{page}: links to {link}, which does not exist"
        for page in ("README.md", "CONTRIBUTING.md")
        for link in re.findall(r"\]\(([^)#:]+)[^):]*\)", (root / page).read_text(encoding="utf-8"))
        if not (root / link).exists()
    ]


def texts(root: Path) -> Iterator[tuple[Path, str]]:
    """Every text file of the repository that somebody wrote."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in ELSEWHERE and (f == ".ci" or f[0] not in "._"))
        for name in sorted(names):
            path = Path(folder, name)
            if path.stat().st_size < 2_000_000 and b"\0" not in (data := path.read_bytes()):
                yield path, data.decode("utf-8", errors="replace")
