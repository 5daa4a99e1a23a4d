"""Records with false captions beside the true ones: what all makers of hard negatives have in common."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from dovetail.contracts import Kind
from dovetail.data.records import Caption, Record
from dovetail.data.worlds.draws import Draws

Make = Callable[[str, Draws], Iterable[str]]
"""A true text and draws to choose by -> texts that differ from it, the preferred ones first."""


def true_texts(record: Record) -> list[str]:
    """All that is said of an image and true: captions, phrases of regions, the label."""
    label = [record.label] if record.label else []
    return [*(c.text for c in english(record)), *(region.phrase for region in record.regions), *label]


def english(record: Record) -> list[Caption]:
    """The true captions that are in English, or in a language that nobody stated."""
    return [c for c in record.captions if c.kind != Kind.NEGATIVE and (c.language or "en").lower()[:2] == "en"]


def with_falsehoods(record: Record, count: int, key: tuple[int | str, ...], make: Make) -> Record:
    """The record with at most `count` more captions of kind NEGATIVE for each true English one.

    key: what the draws depend on besides the record's id and the caption. What a caption of the record says already,
    true or false, is not said again.
    """
    known = {_bare(c.text) for c in record.captions}
    made: list[Caption] = []
    for caption in english(record):
        texts: list[str] = []
        for text in make(caption.text, Draws(*key, record.id, caption.text)):
            if len(texts) == count:
                break
            if _bare(text) not in known:
                known.add(_bare(text))
                texts.append(text)
        made += [Caption(text, Kind.NEGATIVE, caption.language) for text in texts]
    return replace(record, captions=(*record.captions, *made)) if made else record


def _bare(text: str) -> str:
    return " ".join(text.casefold().rstrip(" .!").split())
