"""Webdataset shards: tar files whose members of one sample follow each other and share a name up to its first dot."""

import json
import tarfile
import zlib
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from dovetail.data.records import Problems
from dovetail.data.sources.columns import Columns
from dovetail.data.sources.folder import caption_lines
from dovetail.data.sources.pictures import SUFFIXES
from dovetail.data.sources.rows import Part, Row
from dovetail.data.sources.textfile import absolute

BLOCK = 512  # bytes, the unit that a tar file is made of
Member = tuple[str, str, bytes]  # sample, `.extension`, content


def units(paths: list[Path], columns: Columns) -> list[Part]:
    """One part a shard."""
    folders = [absolute(columns.folder, path) for path in paths]
    return [Part(p.name, "sample", f, partial(rows, p), space=str(f)) for p, f in zip(paths, folders, strict=True)]


def rows(path: Path, problems: Problems) -> Iterator[Row]:
    """The samples of a shard. Cells: `.image`, `.txt` (one caption a line), `.cls`, the fields of `.json`, other
    members as bytes. What comes before a break in the file is used; the break is counted.
    """
    for number, (_, members) in enumerate(groupby(_members(path, problems), key=lambda m: m[0]), 1):
        yield Row(number, _cells(list(members), f"{path.name} sample {number}", problems))


def _cells(members: list[Member], name: str, problems: Problems) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    cells: dict[str, Any] = {}
    for sample, suffix, content in members:
        where = f"{name} ({sample}{suffix})"
        if suffix in SUFFIXES and ".image" not in cells:
            cells[".image"] = {"bytes": content, "path": sample + suffix}
        elif suffix == ".json":
            fields = _object(content, where, problems)
        elif suffix in (".txt", ".cls"):
            cells |= _text(suffix, content, where, problems)
        else:
            cells[suffix] = content
    return {**fields, **cells}


def _object(content: bytes, where: str, problems: Problems) -> dict[str, Any]:
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        fields = None
    if isinstance(fields, dict):
        return fields
    problems.add("broken JSON in a shard", where)
    return {}


def _text(suffix: str, content: bytes, where: str, problems: Problems) -> dict[str, Any]:
    try:
        lines = caption_lines(content)
    except UnicodeDecodeError:
        problems.add("text in a shard is not UTF-8", where)
        return {}
    return {suffix: lines if suffix == ".txt" else lines[0]}


def _members(path: Path, problems: Problems) -> Iterator[Member]:
    last = "its start"
    try:
        with tarfile.open(path, "r:*") as tar:
            while member := tar.next():
                folder, slash, name = member.name.rpartition("/")
                key, dot, suffix = name.partition(".")
                if not member.isfile() or not key or not dot:
                    continue
                file = tar.extractfile(member)
                content = file.read() if file else b""
                last = member.name
                yield folder + slash + key, "." + suffix.lower(), content
                tar.members = []  # type: ignore[attr-defined]  # tarfile would keep every header
            if not _ended(tar):
                raise tarfile.ReadError("the end mark is missing")
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as error:
        problems.add("broken shard", f"{path.name} after {last} ({error})")


def _ended(tar: tarfile.TarFile) -> bool:
    """Whether reading stopped at the zeros that end a tar: at a broken header tarfile stops without a word."""
    if tar.fileobj is None:
        return False
    tar.fileobj.seek(tar.offset)
    return tar.fileobj.read(BLOCK) == bytes(BLOCK)
