"""Write the pages of the methods for the documentation, from their docstrings and what was measured of their claims."""

import inspect
import os
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

import docstring_parser

from dovetail import catalogue
from dovetail.catalogue import CITATION, Entry
from dovetail.cli import claims_tables, taxonomy
from dovetail.evaluation.claims.outcome import Outcome, outcomes
from dovetail.training.assemble import ADVICE

TRAINED = ("Objective", "Schedule")
SURVEY = "vlm_survey.md"
_NOTE = "<!-- Written by `make docs` from {source}: change that instead. -->\n"


def docs(out: Path = Path("docs/methods")) -> None:
    """Write the pages of the methods for the documentation, from their docstrings and what was measured.

    Args:
        out: the folder to write to; Markdown files in it that belong to no method are removed. Where it lies in a
            folder `docs`, what was measured is read from the folder `results` beside that, and written into the
            README.md there too.
    """
    root = repository(out)
    found = outcomes(root / "results") if root else []
    page_of_readme = root / "README.md" if root else None
    text = None
    if page_of_readme and page_of_readme.is_file():  # before anything is written: a marker may be missing
        text = readme(page_of_readme.read_text(encoding="utf-8"), found)
    print(f"wrote {write(out, found)} pages into {out}")
    if page_of_readme and text is not None:
        _replace(page_of_readme, text)


def repository(out: Path) -> Path | None:
    """The folder that holds the folder `docs` in which `out` lies; None where it lies in none."""
    return next((folder.parent for folder in out.resolve().parents if folder.name == "docs"), None)


def readme(text: str, found: Sequence[Outcome]) -> str:
    """The README with the table of what was measured. Raises DataError when a marker of its place is missing."""
    return claims_tables.readme(text, found, _links(catalogue.entries(), "docs/methods/"))


def folder(contract: str) -> str:
    """The folder in which a contract's methods lie: `PairLoss` -> `pair_losses`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", contract).lower()
    if words.endswith("y"):
        return words[:-1] + "ies"
    return words + ("es" if words.endswith("s") else "s")


def page(entry: Entry, found: Sequence[Outcome] = ()) -> str:
    """One method's card as Markdown: what it is, the paper, the formula, what was measured of it, and its options."""
    source = "src/" + entry.make.__module__.replace(".", "/") + ".py"
    parts = [
        _NOTE.format(source=source),
        f"# {entry.name}",
        _sentence(entry.summary),
        _citation(entry),
        _body(entry),
        claims_tables.measured([o for o in found if (o.contract, o.key) == (entry.contract, entry.key)]),
        f"## Options\n\nA {entry.contract}, called `{entry.key}`; its code is `{source}`.",
        _options(entry),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def index(entries: list[Entry], found: Sequence[Outcome] = ()) -> str:
    """The table of all methods by contract, what was measured of their claims, and what objectives ask of the data."""
    parts = [
        _NOTE.format(source="the docstrings under src/dovetail/methods and from results"),
        "# Methods",
        "Every method is one file with its paper, its formula and its tests. "
        "`dovetail methods` prints these tables, `dovetail show KEY` a method's page. "
        f"[Sorted as a survey of the field sorts them]({SURVEY}), they show what is akin.",
    ]
    for contract in sorted({entry.contract for entry in entries}):
        rows = [_row(entry) for entry in entries if entry.contract == contract]
        parts.append(f"## {contract}\n\n| key | name | what it is | year |\n|---|---|---|---|\n" + "\n".join(rows))
    parts.append("## Claims\n\n" + claims_tables.index_table(found, _links(entries)))
    parts += _usable([entry for entry in entries if entry.contract in TRAINED])
    return "\n\n".join(part.strip() for part in parts) + "\n"


def pages(found: Sequence[Outcome] = ()) -> dict[str, str]:
    """Every page by its path below docs/methods."""
    entries = catalogue.entries()
    note = _NOTE.format(source="the imports of the files under src/dovetail/methods")
    survey = note + "\n" + taxonomy.page(entries, _links(entries))
    return {"index.md": index(entries, found), SURVEY: survey} | {_path(e): page(e, found) for e in entries}


def write(out: Path, found: Sequence[Outcome] = ()) -> int:
    """Makes the Markdown files below `out` those of the catalogue, and returns how many there are."""
    wanted = pages(found)
    for stale in [p for p in out.rglob("*.md") if p.relative_to(out).as_posix() not in wanted]:
        stale.unlink()
    for name, text in wanted.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, text)
    return len(wanted)


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _path(entry: Entry) -> str:
    return f"{folder(entry.contract)}/{entry.key}.md"


def _links(entries: Sequence[Entry], base: str = "") -> dict[tuple[str, str], str]:
    """Where each method's page is, by contract and key."""
    return {(e.contract, e.key): base + _path(e) for e in entries}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _citation(entry: Entry) -> str:
    authors, title, year = (" ".join(part.split()) for part in entry.citation.groups())
    return f'> {authors}, "{title}", {year}.'


def _body(entry: Entry) -> str:
    """The card below its first line and its citation, with indented formulas as code blocks."""
    body = CITATION.sub("", entry.card.partition("\n")[2], count=1)
    paragraphs = [p for p in re.split(r"\n\s*\n", body) if p.strip()]
    return "\n\n".join(_block(p) if p.startswith("    ") else p.strip("\n") for p in paragraphs)


def _block(paragraph: str) -> str:
    return f"```text\n{textwrap.dedent(paragraph)}\n```"


def _options(entry: Entry) -> str:
    if not entry.options:
        return "It has no options."
    doc = docstring_parser.parse(entry.make.__doc__ or "")
    meaning = {p.arg_name: " ".join((p.description or "").split()) for p in doc.params}
    rows = [
        f"| `{name}` | {_code(_type(option))} | {_default(option)} | {_cell(meaning.get(name, ''))} |"
        for name, option in entry.options.items()
    ]
    return "| option | type | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows)


def _type(option: inspect.Parameter) -> str:
    if option.annotation is inspect.Parameter.empty:
        return ""
    return inspect.formatannotation(option.annotation).replace("dovetail.contracts.", "")


def _default(option: inspect.Parameter) -> str:
    if option.default is inspect.Parameter.empty:
        return "required"
    value = option.default
    return _code(f"{value:.6g}" if isinstance(value, float) else repr(value))


def _code(text: str) -> str:
    return f"`{_cell(text)}`" if text else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _row(entry: Entry) -> str:
    return (
        f"| [`{entry.key}`]({_path(entry)}) | {_cell(entry.name)} | {_cell(entry.summary)} | {entry.citation['year']} |"
    )


def _usable(entries: Sequence[Entry]) -> list[str]:
    """What can be trained on which data, by what it asks of them."""
    if not entries:
        return []
    asked = sorted({entry.requires for entry in entries}, key=lambda needs: (len(needs), needs))
    rows = []
    for needs in asked:
        keys = ", ".join(f"[`{e.key}`]({_path(e)})" for e in entries if e.requires == needs)
        rows.append(
            f"| {', '.join(needs) or 'a caption'} | {keys} | {' '.join(ADVICE.get(need, '') for need in needs)} |"
        )
    head = "| every image has | objectives that can use it | how to get there |\n|---|---|---|\n"
    return ["## Which objectives your data are enough for\n\n" + head + "\n".join(rows)]
