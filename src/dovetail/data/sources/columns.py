"""Which column holds what: as the user says, or as its name suggests."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dovetail.contracts import Kind
from dovetail.data.records import DataError

IMAGE = (".image", "image", "filepath", "file_path", "file_name", "filename", "image_path", "img", "path", "jpg")
CAPTIONS = (".txt", "caption", "captions", "title", "text", "texts", "sentence", "sentences", "alt_text")
LABEL = (".cls", "label", "class", "category")
ID = ("id",)
LANGUAGE = ("language", "lang")
REGIONS = ("regions", "boxes")
NEGATIVES = ("negatives", "negative", "negative_captions", "hard_negatives")
LONG = ("long_captions", "long_caption", "recaption", "recaptions", "dense_caption", "dense_captions", "long")
SYNTHETIC = ("synthetic_captions", "synthetic_caption", "synthetic")
DEPTH = (".depth.png", "depth", "depth_map", "depth_path")
VIDEO = ("video", "frames")
"""Names that are taken for a column's meaning when nothing is said, best first; a dot marks a member of a tar shard."""

KINDS = {"long": Kind.LONG, "synthetic": Kind.SYNTHETIC, "negatives": Kind.NEGATIVE}
"""Columns of captions that are of a kind of their own, in the order in which a record has them."""

SINGLE = ("image", "id", "label", "language", "regions", "depth", "video", *KINDS)


@dataclass(frozen=True)
class Columns:
    """The names of the columns to use. None: guess by name. Guessing ignores upper and lower case.

    captions: one column or several, all of whose texts are used; () for data without captions.
    id: equal values are the same thing and never negatives of each other; without one, the image is the identity.
    negatives: captions that are false of the image, for objectives that learn from them. long: captions of many
    sentences. synthetic: captions that a model wrote.
    depth: a grey picture of 8 or 16 bits, black nearest. video: a list of frames, or a folder of them.
    folder: where relative image paths start; None: the folder that the table lies in.
    """

    image: str | None = None
    captions: str | Sequence[str] | None = None
    id: str | None = None
    label: str | None = None
    language: str | None = None
    regions: str | None = None
    negatives: str | None = None
    long: str | None = None
    synthetic: str | None = None
    depth: str | None = None
    video: str | None = None
    folder: str | Path | None = None


GUESS = Columns()


@dataclass(frozen=True)
class Fields:
    """The columns that were settled on; `guessed` holds the meanings that nobody named.

    kinds: of KINDS those that have a column.
    """

    image: str
    captions: tuple[str, ...]
    id: str | None
    label: str | None
    language: str | None
    regions: str | None
    depth: str | None
    video: str | None
    kinds: Mapping[str, str]
    guessed: frozenset[str]

    @property
    def telling(self) -> bool:
        """Whether there is a column of captions that are true."""
        return bool(self.captions) or any(KINDS[k] != Kind.NEGATIVE for k in self.kinds)


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
    if columns.captions is None and not fields.telling and not fields.label:
        lost.append(f"no captions column (looked for {', '.join(CAPTIONS[1:])}) and no labels")
    if lost:
        guessed = ", ".join(f"{meaning} from {c!r}" for meaning, c in _pairs(fields) if meaning in fields.guessed)
        raise DataError(
            f"{name}: {' and '.join(lost)}. Its columns are: {', '.join(there) or 'none'}."
            f"{f' Guessed: {guessed}.' if guessed else ''} Say which column holds what."
        )
    return fields


def _pairs(fields: Fields) -> list[tuple[str, str]]:
    single = [(k, fields.kinds.get(k) if k in KINDS else getattr(fields, k)) for k in SINGLE]
    return [(k, c) for k, c in single if c] + [("captions", c) for c in fields.captions]


def _settle(columns: Columns, there: list[str]) -> Fields:
    lower = {c.lower(): c for c in reversed(there)}
    named = (columns.captions,) if isinstance(columns.captions, str) else columns.captions
    taken = {*(getattr(columns, k) for k in SINGLE), *(named or ())}

    def guess(names: Sequence[str]) -> str | None:
        return next((lower[n] for n in names if n in lower and lower[n] not in taken), None)

    captions = guess(CAPTIONS) if named is None else None
    asked = {k: getattr(columns, k) for k in ("captions", *SINGLE)}
    kinds = {
        "long": columns.long or guess(LONG),
        "synthetic": columns.synthetic or guess(SYNTHETIC),
        "negatives": columns.negatives or guess(NEGATIVES),
    }
    return Fields(
        image=columns.image or guess(IMAGE) or "",
        captions=((captions,) if captions else ()) if named is None else tuple(named),
        id=columns.id or guess(ID),
        label=columns.label or guess(LABEL),
        language=columns.language or guess(LANGUAGE),
        regions=columns.regions or guess(REGIONS),
        depth=columns.depth or guess(DEPTH),
        video=columns.video or guess(VIDEO),
        kinds={kind: column for kind, column in kinds.items() if column},
        guessed=frozenset(k for k, v in asked.items() if v is None),
    )
