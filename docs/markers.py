"""Pages in which some parts are written by a script, between markers such as <!-- loss --> and <!-- /loss -->."""

from collections.abc import Callable, Mapping


def filled(text: str, parts: Mapping[str, Callable[[], str]], page: str) -> str:
    """The text with what stands between each part's markers made anew.

    Raises ValueError, naming the page, where a marker is missing.
    """
    for name, make in parts.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        head, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"docs/{page} lacks the marker {begin.strip()} or {end}; put it back")
        text = f"{head}{begin}\n{make()}\n\n{end}{after}"
    return text
