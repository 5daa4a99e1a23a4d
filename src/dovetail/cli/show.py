"""Explain one method: its card, its options and where its code lies."""

import inspect

from rich.console import Console

from dovetail.catalogue import Entry, entries, lookup


def show(name: str) -> None:
    """Explain one method: its card, its options and where its code lies.

    Args:
        name: as `dovetail methods` lists it. What is a curator and an objective is shown as both.
    """
    lookup(name)  # which knows the names that are near
    for number, entry in enumerate(e for e in entries() if e.key == name):
        _show(entry, Console(), "\n" if number else "")


def _show(entry: Entry, console: Console, before: str) -> None:
    console.print(f"{before}[bold cyan]{entry.key}[/] ({entry.contract})\n")
    console.print(entry.card, markup=False, highlight=False)
    console.print("\n[bold]Options[/]")
    for option in entry.options.values():
        console.print(f"  {option}", markup=False)
    console.print("\n" + inspect.cleandoc(entry.make.__doc__ or ""), markup=False, highlight=False)
    console.print(f"\n[dim]{inspect.getsourcefile(entry.make)}[/]", soft_wrap=True)
