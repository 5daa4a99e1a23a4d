"""SentencePiece's model file (`spiece.model`) as a tokenizer of the `tokenizers` library. Executes nothing.

Kudo and Richardson, "SentencePiece: A simple and language independent subword tokenizer and detokenizer for Neural Text
Processing", 2018; its unigram model is of Kudo, "Subword Regularization: Improving Neural Network Translation Models
with Multiple Subword Candidates", 2018.

The file is a protocol buffer. Read are its fields 1, the pieces (1 text, 2 score, 3 kind), 2, the trainer's (3 kind of
model, 35 byte fallback) and 3, the normalizer's (2 table of characters).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tokenizers
from tokenizers import Regex, decoders, models, normalizers

from dovetail.models.files import CheckpointError

UNIGRAM, UNKNOWN = 1, 2  # kinds of models, and of pieces
SPACE = "\u2581"  # which SentencePiece writes for a space
PUNCTUATION = r"[!-/:-@\[-`{-~]"  # Python's string.punctuation


@dataclass(frozen=True)
class Pieces:
    """A vocabulary: texts with their scores, which one stands for what is unknown, and the table of characters."""

    scores: tuple[tuple[str, float], ...]
    unknown: int
    characters: bytes
    bytewise: bool


def pieces_of(path: Path) -> Pieces:
    """The vocabulary in a file of a unigram model. Raises CheckpointError for a file of another kind."""
    scores: list[tuple[str, float]] = []
    kinds: list[int | bytes] = []
    model: int | bytes = UNIGRAM
    bytewise, characters = False, b""
    try:
        for number, value in _fields(path.read_bytes()):
            inner = dict(_fields(value)) if isinstance(value, bytes) else {}
            if number == 1:
                scores.append((_bytes(inner[1]).decode(), _float(inner.get(2))))
                kinds.append(inner.get(3, 1))
            elif number == 2:
                model, bytewise = inner.get(3, UNIGRAM), bool(inner.get(35, 0))
            elif number == 3:
                characters = _bytes(inner.get(2, b""))
    except (IndexError, KeyError, ValueError, struct.error) as error:
        raise CheckpointError(f"{path}: broken or no SentencePiece model ({error}); copy it again") from error
    if model != UNIGRAM or UNKNOWN not in kinds:
        raise CheckpointError(
            f"{path}: no unigram model with an unknown piece, which alone is read; put the tokenizer.json beside it"
        )
    return Pieces(tuple(scores), kinds.index(UNKNOWN), characters, bytewise)


def canonical(lower: bool = True) -> list[normalizers.Normalizer]:
    """How SigLIP prepares a text: in lower case, without ASCII punctuation, with single spaces."""
    return [
        *([normalizers.Lowercase()] if lower else []),
        normalizers.Replace(Regex(PUNCTUATION), ""),
        normalizers.Replace(Regex(r"\s+"), " "),
        normalizers.Strip(),
    ]


def siglip_backend(path: Path, end: str = "</s>", lower: bool = True) -> tuple[tokenizers.Tokenizer, int]:
    """SigLIP's tokenizer from its SentencePiece file, canonical texts with an end after them; and that end's id.

    Gives the ids of transformers' SiglipTokenizer, which lowers a capital sigma at a word's end to another letter.
    Raises CheckpointError for a file of another kind or without the end.
    """
    pieces = pieces_of(path)
    backend = tokenizers.Tokenizer(models.Unigram(list(pieces.scores), pieces.unknown, pieces.bytewise))
    before = [normalizers.Replace(SPACE, " "), normalizers.Prepend(SPACE), *canonical(lower)]
    table = [normalizers.Precompiled(pieces.characters)] if pieces.characters else []
    spaces = [normalizers.Replace(Regex(r" {2,}"), " "), normalizers.Strip(left=False), normalizers.Replace(" ", SPACE)]
    alone = normalizers.Replace(Regex(f"{SPACE}+$"), "")  # SentencePiece drops spaces at the end, these too
    backend.normalizer = normalizers.Sequence([*before, *table, *spaces, alone])
    backend.decoder = decoders.Metaspace(SPACE, "always")
    number = backend.token_to_id(end)
    if number is None:
        raise CheckpointError(f"{path}: has no piece {end!r} to end a text with")
    backend.add_special_tokens([end])
    return ended(backend, end), number


def ended(backend: tokenizers.Tokenizer, end: str) -> tokenizers.Tokenizer:
    """The same with an end after every text."""
    number = backend.token_to_id(end)
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, number)]
    )
    return backend


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffer's message: numbers, or bytes (of four or eight, or of a length stated)."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        value: int | bytes
        if kind == 0:
            value, at = _varint(data, at)
        else:
            length, at = (8, at) if kind == 1 else (4, at) if kind == 5 else _varint(data, at)
            if kind not in (1, 2, 5) or at + length > len(data):
                raise ValueError(f"a field at byte {at} is cut off or unknown")
            value, at = data[at : at + length], at + length
        yield key >> 3, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value, at, shift = value | (byte & 127) << shift, at + 1, shift + 7
        if byte < 128:
            return value, at


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a number stands where a text should")
    return value


def _float(value: int | bytes | None) -> float:
    return 0.0 if value is None else float(struct.unpack("<f", _bytes(value))[0])
