"""List every method, by the contract it implements."""

from json import dumps

from rich.console import Console
from rich.table import Table

from dovetail.catalogue import Entry, entries


def methods(json: bool = False) -> None:
    """List every method, by the contract it implements.

    Args:
        json: print JSON instead of a table.
    """
    if json:
        print(dumps([describe(entry) for entry in entries()], indent=2, ensure_ascii=False))
        return
    table = Table("name", "what it does", "paper", box=None, header_style="bold", pad_edge=False)
    contract = ""
    for entry in entries():
        if entry.contract != contract:
            contract = entry.contract
            table.add_section()
            table.add_row(f"[bold cyan]{contract}[/]", "", "")
        authors, year = entry.citation["authors"], entry.citation["year"]
        table.add_row(f"  {entry.key}", entry.summary, f"{authors}, {year}")
    Console().print(table)
    Console().print("\n`dovetail show NAME` explains one.")


def describe(entry: Entry) -> dict[str, object]:
    """An entry as plain JSON values."""
    options = {
        name: {"type": str(p.annotation), "default": None if p.default is p.empty else repr(p.default)}
        for name, p in entry.options.items()
    }
    citation = {k: entry.citation[k] for k in ("authors", "title", "year")}
    return {
        "contract": entry.contract,
        "key": entry.key,
        "name": entry.name,
        "summary": entry.summary,
        "citation": citation,
        "options": options,
    }
