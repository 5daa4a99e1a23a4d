"""Write the pages of the methods for the documentation, from their docstrings."""

import inspect
import os
import re
import textwrap
from pathlib import Path

import docstring_parser

from dovetail import catalogue
from dovetail.catalogue import CITATION, Entry

_NOTE = "<!-- Written by `make docs` from {source}: change that instead. -->\n"


def docs(out: Path = Path("docs/methods")) -> None:
    """Write the pages of the methods for the documentation, from their docstrings.

    Args:
        out: the folder to write to; Markdown files in it that belong to no method are removed.
    """
    print(f"wrote {write(out)} pages into {out}")


def folder(contract: str) -> str:
    """The folder in which a contract's methods lie: `PairLoss` -> `pair_losses`."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", contract).lower()
    if words.endswith("y"):
        return words[:-1] + "ies"
    return words + ("es" if words.endswith("s") else "s")


def page(entry: Entry) -> str:
    """One method's card as Markdown: what it is, the paper, the formula, how to ask for it and its options."""
    source = "src/" + entry.make.__module__.replace(".", "/") + ".py"
    parts = [
        _NOTE.format(source=source),
        f"# {entry.name}",
        _sentence(entry.summary),
        _citation(entry),
        _body(entry),
        f"## Options\n\nA {entry.contract}, called `{entry.key}`; its code is `{source}`.",
        _options(entry),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def index(entries: list[Entry]) -> str:
    """The table of all methods by contract, and what each objective asks of the data."""
    parts = [
        _NOTE.format(source="the docstrings under src/dovetail/methods"),
        "# Methods",
        "Every method is one file with its paper, its formula and its tests. "
        "`dovetail methods` prints these tables, `dovetail show KEY` a method's page.",
    ]
    for contract in sorted({entry.contract for entry in entries}):
        rows = [_row(entry) for entry in entries if entry.contract == contract]
        parts.append(f"## {contract}\n\n| key | name | what it is | year |\n|---|---|---|---|\n" + "\n".join(rows))
    needs = [_need(entry) for entry in entries if entry.contract == "Objective"]
    if needs:
        head = "| objective | beyond images with a caption each |\n|---|---|\n"
        parts.append("## What the objectives ask of the data\n\n" + head + "\n".join(needs))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def pages() -> dict[str, str]:
    """Every page by its path below docs/methods."""
    entries = catalogue.entries()
    return {"index.md": index(entries)} | {f"{folder(e.contract)}/{e.key}.md": page(e) for e in entries}


def write(out: Path) -> int:
    """Makes the Markdown files below `out` those of the catalogue, and returns how many there are."""
    wanted = pages()
    for stale in [p for p in out.rglob("*.md") if p.relative_to(out).as_posix() not in wanted]:
        stale.unlink()
    for name, text in wanted.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".tmp")
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    return len(wanted)


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
    link = f"{folder(entry.contract)}/{entry.key}.md"
    return f"| [`{entry.key}`]({link}) | {_cell(entry.name)} | {_cell(entry.summary)} | {entry.citation['year']} |"


def _need(entry: Entry) -> str:
    requires = getattr(entry.make, "requires", ())
    return f"| [`{entry.key}`]({folder(entry.contract)}/{entry.key}.md) | {', '.join(requires) or 'nothing'} |"
