"""From the rows of any format to records: what every reader hands on, and what becomes of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from dovetail.contracts import Kind
from dovetail.data.records import Caption, DataError, ImageLike, Problems, Record, Region
from dovetail.data.sources import pictures, sensed, texts
from dovetail.data.sources.columns import KINDS, Columns, Fields, resolve

SPLIT = "split"


@dataclass(frozen=True)
class Row:
    """One row: its number, as messages call it, and its cells by column."""

    number: int
    cells: Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """A run of rows that can be read from its start any number of times: a file, a shard, a list.

    name, unit: a row is called `{name} {unit} {number}` in messages.
    folder: where relative image paths start.
    rows: reads all rows; what is broken is added to the problems given.
    again: reads some columns of one row again, where rows are too heavy to be kept; None where they are not.
    space: ids are compared within it.
    """

    name: str
    unit: str
    folder: Path
    rows: Callable[[Problems], Iterator[Row]]
    again: Callable[[int, tuple[str, ...]], Mapping[str, Any]] | None = None
    space: str = ""


@dataclass(frozen=True)
class Entry:
    """What one row says. Rows of equal `key` show the same image and become one record."""

    name: str
    number: int
    image: ImageLike | None
    key: int
    id: int
    captions: tuple[Caption, ...]
    label: str | None
    regions: tuple[Region, ...]
    extra: Mapping[str, Any]
    depth: ImageLike | None = None
    video: tuple[ImageLike, ...] = ()


def settle(parts: Sequence[Part], columns: Columns, name: str, look: int = 1000) -> tuple[Fields, str | None]:
    """The columns to use, and the column of splits if there is one, from the first `look` rows of the first part.

    Reads on through everything only when a column that was asked for by name is not among those. Raises DataError when
    it is nowhere, or when there are no rows at all.
    """
    present = _columns(row for part in parts[:1] for row in islice(part.rows(Problems()), look))
    try:
        fields = resolve(columns, present, name)
    except DataError:
        tally = Problems()
        present = _columns(row for part in parts for row in part.rows(tally))
        if not present:
            raise nothing_left(name, tally, columns) from None
        fields = resolve(columns, present, name)
    return fields, next((c for c in present if c.lower() == SPLIT), None)


def _columns(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(column for row in rows for column in row.cells))


def choose(part: Part, column: str, splits: frozenset[str], seen: set[str]) -> Part:
    """The part with only the rows whose `column` holds one of `splits` (none: all rows); notes what it held."""
    return replace(part, rows=partial(_chosen, part, column, splits, seen))


def _chosen(part: Part, column: str, splits: frozenset[str], seen: set[str], problems: Problems) -> Iterator[Row]:
    for row in part.rows(problems):
        value = str(row.cells.get(column))
        seen.add(value)
        if not splits or value in splits:
            yield row


def entries(part: Part, fields: Fields, problems: Problems) -> Iterator[tuple[Row, Entry]]:
    """Every row of the part that shows an image, with what it says. What cannot be used is counted in `problems`."""
    for row in part.rows(problems):
        cell = row.cells.get(fields.image)
        written = pictures.shown(cell)
        name = f"{part.name} {part.unit} {row.number}" + (f" ({written})" if written else "")
        try:
            image = pictures.locate(cell, part.folder)
        except pictures.UnusableImage as error:
            problems.add(error.args[0], name)
            continue
        label = texts.scalar(row.cells.get(fields.label)) if fields.label else None
        same = pictures.identity(image)
        given = texts.scalar(row.cells.get(fields.id)) if fields.id else None
        yield (
            row,
            Entry(
                name=name,
                number=row.number,
                image=image,
                key=pictures.number(str(same), label) if label else same,
                id=pictures.number(part.space, given) if given else same,
                captions=tuple(_captions(row, fields, problems, name)),
                label=label,
                regions=tuple(_regions(row, fields, problems, name)),
                extra={} if part.again else rest(row.cells, fields),
                depth=sensed.depth(row.cells, fields, part.folder, problems, name),
                video=sensed.video(row.cells, fields, part.folder, problems, name),
            ),
        )


def _captions(row: Row, fields: Fields, problems: Problems, name: str) -> Iterator[Caption]:
    spoken = texts.scalar(row.cells.get(fields.language)) if fields.language else None
    for column in fields.captions:
        good, bad = texts.captions(row.cells.get(column), spoken or texts.language_of(column))
        for cause in bad:
            problems.add(cause, name)
        yield from good
    for kind, column in fields.kinds.items():
        more, _ = texts.captions(row.cells.get(column), spoken)
        yield from (replace(caption, kind=KINDS[kind]) for caption in more)


def told(captions: Sequence[Caption]) -> bool:
    """Whether there is a caption that is true of the image."""
    return any(caption.kind != Kind.NEGATIVE for caption in captions)


def _regions(row: Row, fields: Fields, problems: Problems, name: str) -> list[Region]:
    cell = row.cells.get(fields.regions) if fields.regions else None
    read = texts.regions(cell)
    broken = 0 if cell is None or (read is None and "regions" in fields.guessed) else (1 if read is None else read[1])
    for _ in range(broken):
        problems.add("broken region", name)
    return read[0] if read else []


def rest(cells: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """The cells that found no place elsewhere in the record."""
    used = {fields.image, *fields.captions, *fields.kinds.values(), *sensed.used(cells, fields)}
    if fields.label and texts.scalar(cells.get(fields.label)) is not None:
        used.add(fields.label)
    if fields.regions and texts.regions(cells.get(fields.regions)) is not None:
        used.add(fields.regions)
    return {k: v for k, v in cells.items() if k not in used}


def join(rows: Sequence[Entry]) -> Record:
    """One record of the rows that show one image: all captions and regions, in order; the rest as the first row has it.

    A column on which the rows differ becomes the tuple of their values in `extra`.
    """
    first = rows[0]
    if first.image is None:
        raise ValueError(f"{first.name} has no image")
    return Record(
        image=first.image,
        captions=tuple(c for row in rows for c in row.captions),
        name=first.name,
        id=first.id,
        label=first.label,
        regions=tuple(r for row in rows for r in row.regions),
        extra=first.extra if len(rows) == 1 else _joined([row.extra for row in rows]),
        depth=next((row.depth for row in rows if row.depth is not None), None),
        video=next((row.video for row in rows if row.video), ()),
    )


def _joined(extras: list[Mapping[str, Any]]) -> dict[str, Any]:
    keys = dict.fromkeys(k for extra in extras for k in extra)
    columns = {k: tuple(extra.get(k) for extra in extras) for k in keys}
    return {k: values[0] if all(_equal(values[0], v) for v in values) else values for k, values in columns.items()}


def _equal(a: Any, b: Any) -> bool:
    try:
        return a is b or bool(a == b)
    except ValueError:  # arrays compare element by element
        return False


NO_CAPTION = "image without a usable caption"


def nothing_left(name: str, problems: Problems, columns: Columns, parts: Sequence[Part] = ()) -> DataError:
    """The error for data of which nothing can be used: it says why, by cause, and what to do."""
    if not problems.counts:
        return DataError(f"{name}: there is no data in it.")
    advice = ""
    if problems.counts["missing image file"] and parts:
        advice = (
            f" Relative image paths start at {parts[0].folder}; if they are meant to start elsewhere, set `folder`."
        )
    if any("URL" in cause for cause in problems.counts):
        advice += " Download the images first (img2dataset does) and give the paths of the files."
    return DataError(f"{name}: nothing in it can be used: {'. '.join(problems.lines())}.{advice}")


def no_splits(name: str, splits: frozenset[str]) -> DataError:
    """The error for a split asked of data that does not say which row belongs to which."""
    return DataError(f"{name}: no column `split` by which to choose {', '.join(sorted(splits))}.")
