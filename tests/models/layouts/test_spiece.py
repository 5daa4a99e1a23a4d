"""SentencePiece's file, written here field by field, and the texts that SigLIP's tokenizer makes of it."""

import importlib.util
import struct
from pathlib import Path
from typing import Any

import pytest

from dovetail.models.files import CheckpointError
from dovetail.models.layouts.spiece import pieces_of, siglip_backend

CONTROL, UNKNOWN = 3, 2
PIECES = [("<pad>", 0.0, CONTROL), ("</s>", 0.0, CONTROL), ("<unk>", 0.0, UNKNOWN)]
PIECES += [("\u2581", -4.0, 1), ("\u2581a", -2.0, 1), ("\u2581red", -3.0, 1), ("\u2581dog", -3.5, 1), ("s", -5.0, 1)]
PIECES += [(letter, -9.0 - i / 10, 1) for i, letter in enumerate("abcdefgilmnort0")]


def field(number: int, value: bytes | int | float) -> bytes:
    """One field of a protocol buffer."""
    if isinstance(value, float):
        return bytes([number << 3 | 5]) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def written(
    path: Path, model: int = 1, pieces: list[tuple[str, float, int]] | None = None, trainer: bytes = b""
) -> Path:
    listed = PIECES if pieces is None else pieces
    body = b"".join(
        field(1, field(1, p.encode()) + field(2, s) + (field(3, k) if k != 1 else b"")) for p, s, k in listed
    )
    path.write_bytes(
        body + field(2, field(3, model) + field(40, 2) + trainer) + field(3, field(1, b"identity") + field(3, 1))
    )
    return path


def test_the_vocabulary_is_read(tmp_path: Path) -> None:
    found = pieces_of(written(tmp_path / "spiece.model"))
    assert [piece for piece, _ in found.scores] == [piece for piece, _, _ in PIECES]
    assert [score for _, score in found.scores] == pytest.approx([score for _, score, _ in PIECES])
    assert found.unknown == 2 and found.characters == b"" and not found.bytewise
    assert pieces_of(written(tmp_path / "b", trainer=field(35, 1))).bytewise


TEXTS = {
    "a red dog": ["\u2581a", "\u2581red", "\u2581dog"],
    "A  Red,\tDOG!": ["\u2581a", "\u2581red", "\u2581dog"],
    "dogs' red-dog": ["\u2581dog", "s", "\u2581red", "d", "o", "g"],
    "- a": ["\u2581", "\u2581a"],  # as SiglipTokenizer has it
    "a \u2581dog": ["\u2581a", "\u2581dog"],
    "a \u4e00\u4e01 dog ": ["\u2581a", "\u2581", "<unk>", "\u2581dog"],
    "": [],
    "?!": [],
}


@pytest.mark.parametrize("text", TEXTS)
def test_texts_are_canonical(text: str, tmp_path: Path) -> None:
    backend, end = siglip_backend(written(tmp_path / "spiece.model"))
    encoding = backend.encode(text)
    assert [backend.id_to_token(i) for i in encoding.ids] == [*TEXTS[text], "</s>"] and encoding.ids[-1] == end == 1


def test_capitals_stay_where_that_is_asked_for(tmp_path: Path) -> None:
    backend, _ = siglip_backend(written(tmp_path / "spiece.model"), lower=False)
    assert backend.id_to_token(backend.encode("Red").ids[1]) == "<unk>"


def test_decodes(tmp_path: Path) -> None:
    backend, _ = siglip_backend(written(tmp_path / "spiece.model"))
    assert backend.decode(backend.encode("a red dog!").ids) == "a red dog"


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "spiece.model"
    with pytest.raises(CheckpointError, match=r"spiece\.model: no unigram model with an unknown piece"):
        pieces_of(written(path, model=2))
    with pytest.raises(CheckpointError, match=r"spiece\.model: no unigram model with an unknown piece"):
        pieces_of(written(path, pieces=PIECES[3:]))
    with pytest.raises(CheckpointError, match=r"spiece\.model: has no piece '</s>' to end a text with"):
        siglip_backend(written(path, pieces=PIECES[2:]))
    whole = written(path).read_bytes()
    for content in (whole[:-3], whole[:25], b"text", b"\x80" * 9, b'{"model": {}}', field(1, 3)):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"spiece\.model: "):
            siglip_backend(path)


@pytest.mark.skipif(importlib.util.find_spec("sentencepiece") is None, reason="sentencepiece is not installed")
def test_ids_equal_those_of_transformers(tmp_path: Path, shared_data: Path) -> None:
    import sentencepiece
    from transformers import SiglipTokenizer

    lines = (shared_data / "flickr8k" / "dev.jsonl").read_text(encoding="utf-8").splitlines()[:400]
    (tmp_path / "texts").write_text("\n".join(lines), encoding="utf-8")
    options: dict[str, Any] = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1, "vocab_size": 1500}
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "texts"), model_prefix=str(tmp_path / "spiece"), minloglevel=2, **options
    )
    theirs = SiglipTokenizer(str(tmp_path / "spiece.model"))
    ours, _ = siglip_backend(tmp_path / "spiece.model")
    strange = [
        "  leading",
        "trailing  ",
        "- a dog",
        "\uff21\uff01 wide",
        "a\u00a0b\u3000c",
        "\ufb01ne",
        "Fu\u00df \u4e00",
        "",
        "...",
    ]
    for text in [*lines, *TEXTS, *strange]:
        assert ours.encode(text).ids == theirs(text)["input_ids"], text
