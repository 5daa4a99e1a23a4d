"""What a captions cell, a label cell or a regions cell says."""

import ast
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from dovetail.data.records import Caption, Region

NOT_TEXT = "caption is not text"
EMPTY = "empty caption"
_LANGUAGE = re.compile(r"[a-z]{2}([-_][A-Za-z0-9]{2,8})*")
_SUFFIX = re.compile(rf"(?:captions?|titles?|texts?|sentences?|alt_text|labels?)[_.-]({_LANGUAGE.pattern})")


def captions(cell: Any, language: str | None) -> tuple[list[Caption], list[str]]:
    """The captions that a cell holds and, for each that cannot be used, the cause.

    A cell is a text, a list of texts, a list written as JSON or as Python would print it, or a mapping from language
    codes to either. An item of a list may also be a mapping that holds its text under `raw` or `caption`, as in COCO.
    None says nothing and is no problem of its own.
    """
    good: list[Caption] = []
    bad: list[str] = []
    for text, spoken in _texts(unpacked(cell), language):
        if not isinstance(text, str) or not _encodable(text):
            bad.append(NOT_TEXT)
        elif not text.strip():
            bad.append(EMPTY)
        else:
            good.append(Caption(text.strip(), language=spoken))
    return good, bad


def language_of(column: str) -> str | None:
    """The language that a column's name ends in: `captions_zh` gives zh."""
    found = _SUFFIX.fullmatch(column)
    return found[1] if found else None


def _texts(cell: Any, language: str | None) -> Iterator[tuple[Any, str | None]]:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return
    if isinstance(cell, list | tuple):
        yield from ((_inner(item), language) for item in cell)
    elif isinstance(cell, Mapping) and cell and all(isinstance(k, str) and _LANGUAGE.fullmatch(k) for k in cell):
        for spoken, texts in cell.items():
            yield from _texts(texts, spoken)
    else:
        yield _inner(cell), language


def _inner(item: Any) -> Any:
    """The text inside {"raw": text, ...} or {"caption": text, ...}; anything else as it is."""
    if isinstance(item, str):  # nearly always, and a Mapping is slow to tell
        return item
    return item.get("raw", item.get("caption", item)) if isinstance(item, Mapping) else item


def nothing(cell: Any) -> bool:
    """Whether a cell is empty."""
    return (
        cell is None or (isinstance(cell, float) and math.isnan(cell)) or (isinstance(cell, str) and not cell.strip())
    )


def unpacked(cell: Any) -> Any:
    """A text that is a list of texts written as JSON or by Python's repr, as that list; anything else as it is."""
    if not isinstance(cell, str) or not (cell.lstrip().startswith("[") and cell.rstrip().endswith("]")):
        return cell
    for parse in (json.loads, ast.literal_eval):
        try:
            items = parse(cell.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return items if isinstance(items, list) and (not items or any(isinstance(i, str) for i in items)) else cell
    return cell


def _encodable(text: str) -> bool:
    """Whether the text can be written at all: JSON may hold halves of a surrogate pair, which no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def scalar(cell: Any) -> str | None:
    """A label or an id as text; None for nothing, and for what is no single value."""
    if cell is None or not isinstance(cell, str | int | float) or (isinstance(cell, float) and math.isnan(cell)):
        return None
    return str(cell).strip() or None


def regions(cell: Any) -> tuple[list[Region], int] | None:
    """The regions of a cell [{box: [left, top, right, bottom] as fractions, phrase: text}, ...]; how many are broken.

    None when the cell is of another form.
    """
    if not isinstance(cell, list | tuple) or not all(isinstance(r, Mapping) for r in cell):
        return None
    if not all({"box", "phrase"} <= set(r) for r in cell):
        return None
    good = [Region(box, r["phrase"].strip()) for r in cell if (box := _box(r["box"])) and _phrase(r["phrase"])]
    return good, len(cell) - len(good)


def _phrase(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and _encodable(value)


def _box(value: Any) -> tuple[float, float, float, float] | None:
    if not isinstance(value, list | tuple) or len(value) != 4 or not all(isinstance(v, int | float) for v in value):
        return None
    left, top, right, bottom = map(float, value)
    return (left, top, right, bottom) if 0 <= left < right <= 1 and 0 <= top < bottom <= 1 else None
