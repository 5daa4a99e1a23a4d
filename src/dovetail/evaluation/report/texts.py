"""Texts that people wrote, made safe to lay out: captions may hold anything, and 10,000 characters of it."""

import re
import unicodedata

ROOM = 240
MARKS = re.compile(r"([\\`*_\[\]|~#])")  # what Markdown takes for its own
JOINER = "\N{ZERO WIDTH JOINER}"


def clean(text: object) -> str:
    """The text on one line, without control characters; lone surrogates, which no file can hold, are replaced."""
    return _printable(" ".join(str(text).split()))


def clip(text: object, room: int = ROOM) -> str:
    """The cleaned text, cut to `room` characters at a word's end (where one is near), with an ellipsis.

    A cut never parts a letter from its marks or a joined emoji.
    """
    whole = clean(text)
    if len(whole) <= room:
        return whole
    end = room - 1
    space = whole.rfind(" ", 0, end + 1)
    if space > 0.7 * room:
        return whole[:space] + "…"
    while end > room // 2 and (_clings(whole[end]) or whole[end - 1] == JOINER):
        end -= 1
    return whole[:end] + "…"


def block(text: object, room: int = 20_000) -> str:
    """Several lines as they are (a configuration, code), without control characters, cut to `room` characters."""
    lines = [_printable(line.expandtabs()) for line in str(text)[:room].splitlines()]
    return "\n".join(lines) + ("\n…" if len(str(text)) > room else "")


def escaped(text: object) -> str:
    """The cleaned text as Markdown that shows it as it is, also within a table."""
    whole = clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return MARKS.sub(r"\\\1", whole)


def _printable(line: str) -> str:
    kept = ("\ufffd" if unicodedata.category(c) == "Cs" else c for c in line)
    return "".join(c for c in kept if unicodedata.category(c) != "Cc")


def _clings(character: str) -> bool:
    return character == JOINER or unicodedata.category(character) in ("Mn", "Me", "Mc", "Sk")
