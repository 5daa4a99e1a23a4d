"""Which column holds what: as the user says, or as its name suggests."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dovetail.data.records import DataError

IMAGE = (".image", "image", "filepath", "file_path", "file_name", "filename", "image_path", "img", "path", "jpg")
CAPTIONS = (".txt", "caption", "captions", "title", "text", "texts", "sentence", "sentences", "alt_text")
LABEL = (".cls", "label", "class", "category")
ID = ("id",)
LANGUAGE = ("language", "lang")
REGIONS = ("regions", "boxes")
NEGATIVES = ("negatives", "negative", "negative_captions", "hard_negatives")
"""Names that are taken for a column's meaning when nothing is said, best first; a dot marks a member of a tar shard."""

SINGLE = ("image", "id", "label", "language", "regions", "negatives")


@dataclass(frozen=True)
class Columns:
    """The names of the columns to use. None: guess by name. Guessing ignores upper and lower case.

    captions: one column or several, all of whose texts are used; () for data without captions.
    id: equal values are the same thing and never negatives of each other; without one, the image is the identity.
    negatives: captions that are false of the image, for objectives that learn from them.
    folder: where relative image paths start; None: the folder that the table lies in.
    """

    image: str | None = None
    captions: str | Sequence[str] | None = None
    id: str | None = None
    label: str | None = None
    language: str | None = None
    regions: str | None = None
    negatives: str | None = None
    folder: str | Path | None = None


GUESS = Columns()


@dataclass(frozen=True)
class Fields:
    """The columns that were settled on; `guessed` holds the meanings that nobody named."""

    image: str
    captions: tuple[str, ...]
    id: str | None
    label: str | None
    language: str | None
    regions: str | None
    negatives: str | None
    guessed: frozenset[str]


def resolve(columns: Columns, present: Iterable[str], name: str) -> Fields:
    """Settles which of the columns `present` in `name` hold what.

    Raises DataError, listing the columns there are and what was guessed, when a named column is not there, or when no
    image column, or neither a captions nor a label column, is named or can be guessed.
    """
    there = list(dict.fromkeys(present))
    fields = _settle(columns, there)
    lost = [f"no column {c!r} to take the {meaning} from" for meaning, c in _pairs(fields) if c not in there]
    if not fields.image:
        lost.append(f"no image column (looked for {', '.join(IMAGE[1:])})")
    if columns.captions is None and not fields.captions and not fields.label:
        lost.append(f"no captions column (looked for {', '.join(CAPTIONS[1:])}) and no labels")
    if lost:
        guessed = ", ".join(f"{meaning} from {c!r}" for meaning, c in _pairs(fields) if meaning in fields.guessed)
        raise DataError(
            f"{name}: {' and '.join(lost)}. Its columns are: {', '.join(there) or 'none'}."
            f"{f' Guessed: {guessed}.' if guessed else ''} Say which column holds what."
        )
    return fields


def _pairs(fields: Fields) -> list[tuple[str, str]]:
    single = [(k, getattr(fields, k)) for k in SINGLE]
    return [(k, c) for k, c in single if c] + [("captions", c) for c in fields.captions]


def _settle(columns: Columns, there: list[str]) -> Fields:
    lower = {c.lower(): c for c in reversed(there)}
    named = (columns.captions,) if isinstance(columns.captions, str) else columns.captions
    taken = {*(getattr(columns, k) for k in SINGLE), *(named or ())}

    def guess(names: Sequence[str]) -> str | None:
        return next((lower[n] for n in names if n in lower and lower[n] not in taken), None)

    captions = guess(CAPTIONS) if named is None else None
    asked = {k: getattr(columns, k) for k in ("captions", *SINGLE)}
    return Fields(
        image=columns.image or guess(IMAGE) or "",
        captions=((captions,) if captions else ()) if named is None else tuple(named),
        id=columns.id or guess(ID),
        label=columns.label or guess(LABEL),
        language=columns.language or guess(LANGUAGE),
        regions=columns.regions or guess(REGIONS),
        negatives=columns.negatives or guess(NEGATIVES),
        guessed=frozenset(k for k, v in asked.items() if v is None),
    )
