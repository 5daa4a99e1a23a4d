"""Tables of text: csv (comma, semicolon or bar between the fields, quotes around them) and tsv."""

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from dovetail.data.records import DataError, Problems
from dovetail.data.sources.columns import Columns
from dovetail.data.sources.rows import Part, Row
from dovetail.data.sources.textfile import absolute, lines

SEPARATORS = "\t,;|"


def separator(header: str) -> str:
    """What stands between the fields of a header: the one of tab, comma, semicolon and bar that it holds most of."""
    return max(SEPARATORS, key=header.count) if any(s in header for s in SEPARATORS) else ","


def rows(path: Path, problems: Problems) -> Iterator[Row]:
    """The rows below the header; one with another number of fields is counted and passed over."""
    head = next((text for _, text in lines(path) if text.strip()), None)
    if head is None:
        return
    split = _tabbed if separator(head) == "\t" else partial(_quoted, separator=separator(head))
    found = split(path, problems)
    header = [column.strip() for column in next(found, (0, []))[1]]
    if len(set(header)) < len(header):
        twice = ", ".join(sorted({h for h in header if header.count(h) > 1}))
        raise DataError(f"{path} line 1: the header has the same column more than once: {twice}. Rename one.")
    for number, fields in found:
        if len(fields) == len(header):
            yield Row(number, dict(zip(header, fields, strict=True)))
        else:
            problems.add("wrong number of fields", f"{path.name} line {number}")


def _quoted(path: Path, problems: Problems, separator: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader((text for _, text in lines(path)), delimiter=separator)
    while True:
        number = reader.line_num + 1  # a quoted field may run over several lines; a row is called by its first
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            problems.add("broken csv line", f"{path.name} line {number}")
            continue
        if fields:
            yield number, fields


def _tabbed(path: Path, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """A line is a row and a tab always parts two fields: quotes in captions are too often unbalanced to be trusted."""
    for number, text in lines(path):
        if text.strip():
            yield number, [_unquoted(f) for f in text.rstrip("\r\n").split("\t")]


def _unquoted(text: str) -> str:
    return text[1:-1].replace('""', '"') if len(text) > 1 and text[0] == text[-1] == '"' else text


def parts(paths: list[Path], columns: Columns) -> list[Part]:
    """One part a file, for tables and streams alike: where a row starts is not known before it is read."""
    folders = [absolute(columns.folder, path) for path in paths]
    return [Part(p.name, "line", f, partial(rows, p), space=str(f)) for p, f in zip(paths, folders, strict=True)]
