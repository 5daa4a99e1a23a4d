"""Tokenizers of transformers folders: the same ids there and here, a SigLIP's cleaning included, and written again."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from dovetail.data.records import DataError
from dovetail.data.text import Tokenizer, clip_bpe, train_bpe
from dovetail.models.files import CheckpointError, read_json, write_json
from dovetail.models.layouts.transformers_text import tokenizer_of, write_tokenizer
from tests.models import hf_pair
from tests.models.hf_pair import CONTEXT, TEXTS
from tests.models.layouts.test_spiece import written

MORE = [*TEXTS, "The  RED\ndog's ball & \u4e00!", "don't, \u201cthe\u201d th 12345 \u00c9t\u00e9", "the<b>"]


def ids(folder: Path, texts: list[str], fill: bool = False) -> list[list[int]]:
    """transformers' ids."""
    padding: Any = "max_length" if fill else False
    held = AutoTokenizer.from_pretrained(folder)
    found: list[list[int]] = held(texts, padding=padding, truncation=True, max_length=CONTEXT)["input_ids"]
    return found


def ours(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    tokens = tokenizer(texts)
    return [row[mask].tolist() for row, mask in zip(tokens.ids, tokens.mask, strict=True)]


def test_clip(tmp_path: Path) -> None:
    hf_pair.clip_tokenizer().save_pretrained(tmp_path)
    write_json({"model_type": "clip"}, tmp_path / "config.json")
    found = tokenizer_of(tmp_path, 77)
    assert found.context == CONTEXT and not found.fill
    assert ours(found, MORE) == ids(tmp_path, MORE)
    assert found.bos == 517 and found.eos == 518
    assert found.decode(found(["The red  Dog!"]).ids[0]) == "the red dog !"


def test_clip_from_a_vocabulary_and_merges(tmp_path: Path) -> None:
    """As older folders have it, without a tokenizer.json."""
    tokenizer = hf_pair.clip_tokenizer()
    tokenizer.save_pretrained(tmp_path / "new")
    held = read_json(tmp_path / "new" / "tokenizer.json")["model"]
    write_json(held["vocab"], tmp_path / "vocab.json")
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in held["merges"]]
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    write_json({"tokenizer_class": "CLIPTokenizer", "model_max_length": CONTEXT}, tmp_path / "tokenizer_config.json")
    write_json({"model_type": "clip"}, tmp_path / "config.json")
    assert ours(tokenizer_of(tmp_path, 77), MORE) == ids(tmp_path, MORE) == ids(tmp_path / "new", MORE)


def test_texts_are_filled_up(tmp_path: Path) -> None:
    hf_pair.siglip_tokenizer().save_pretrained(tmp_path)
    found = tokenizer_of(tmp_path, 64, fill=True)
    assert found.fill and found.pad == 1 and found.eos == 1 and found.bos is None
    assert ours(found, MORE) == ids(tmp_path, MORE, fill=True)
    assert all(len(row) == CONTEXT for row in ours(found, MORE))


def siglip_class(folder: Path, **entries: Any) -> Path:
    hf_pair.siglip_tokenizer().save_pretrained(folder)
    config = read_json(folder / "tokenizer_config.json")
    write_json({**config, "tokenizer_class": "SiglipTokenizer", **entries}, folder / "tokenizer_config.json")
    return folder


def test_a_siglip_tokenizer_cleans_texts(tmp_path: Path) -> None:
    """Its class does, not its file: the normalizer has to carry it."""
    plain = hf_pair.siglip_tokenizer()
    found = tokenizer_of(siglip_class(tmp_path), 64, fill=True)
    wanted = plain("the red dog", padding="max_length", max_length=CONTEXT)["input_ids"]
    assert ours(found, ["The  RED, dog!"]) == [wanted] != [plain("The  RED, dog!", padding="max_length")["input_ids"]]
    found.save(tmp_path / "saved")
    assert ours(Tokenizer.load(tmp_path / "saved"), MORE) == ours(found, MORE)
    kept = tokenizer_of(siglip_class(tmp_path, do_lower_case=False, eos_token={"content": "</s>"}), 64, fill=True)
    assert ours(kept, ["the red, dog"]) == [wanted] != ours(kept, ["The red dog"])


def test_a_sentencepiece_file_goes_before(tmp_path: Path) -> None:
    written(siglip_class(tmp_path) / "spiece.model")
    found = tokenizer_of(tmp_path, 8, fill=True)
    assert ours(found, ["A red dog!"]) == [[4, 5, 6, 1, 1, 1, 1, 1]]
    (tmp_path / "spiece.model").unlink()
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"has neither spiece\.model nor tokenizer\.json"):
        tokenizer_of(tmp_path, 8, fill=True)


def test_siglip_2_is_in_lower_case(tmp_path: Path) -> None:
    hf_pair.naflex_tokenizer().save_pretrained(tmp_path)
    write_json({"model_type": "siglip2"}, tmp_path / "config.json")
    found = tokenizer_of(tmp_path, 64, fill=True)
    assert ours(found, MORE) == ids(tmp_path, MORE, fill=True)
    assert ours(found, ["The DOG"]) == ours(found, ["the dog"])


def test_lower_case_is_kept_to_where_it_is_stated(tmp_path: Path) -> None:
    """The class that SigLIP 2's first folders name forgets it."""
    hf_pair.siglip_tokenizer().save_pretrained(tmp_path)
    config = read_json(tmp_path / "tokenizer_config.json")
    assert ours(tokenizer_of(tmp_path, 64, fill=True), ["DOG"]) != ours(tokenizer_of(tmp_path, 64, fill=True), ["dog"])
    write_json({**config, "do_lower_case": True}, tmp_path / "tokenizer_config.json")
    assert ours(tokenizer_of(tmp_path, 64, fill=True), ["DOG"]) == ours(tokenizer_of(tmp_path, 64, fill=True), ["dog"])


@pytest.mark.parametrize("kind", ["clip", "siglip", "siglip class", "siglip 2", "ours"])
def test_what_is_written_gives_the_same_ids_there(kind: str, tmp_path: Path) -> None:
    fill = "siglip" in kind
    if kind == "ours":
        found = train_bpe(TEXTS, vocab_size=300, context=CONTEXT)
    else:
        make: Any = {"clip": hf_pair.clip_tokenizer, "siglip 2": hf_pair.naflex_tokenizer}.get(
            kind, hf_pair.siglip_tokenizer
        )
        make().save_pretrained(tmp_path / "a")
        siglip_class(tmp_path / "a") if kind == "siglip class" else None
        write_json(
            {"model_type": {"clip": "clip", "siglip 2": "siglip2"}.get(kind, "siglip")}, tmp_path / "a" / "config.json"
        )
        found = tokenizer_of(tmp_path / "a", CONTEXT, fill)
    write_tokenizer(found, tmp_path / "b")
    write_json({"model_type": "siglip" if fill else "clip"}, tmp_path / "b" / "config.json")
    assert ids(tmp_path / "b", MORE, fill) == ours(found, MORE)
    again = tokenizer_of(tmp_path / "b", 77, fill)
    assert ours(again, MORE) == ours(found, MORE) and again.context == CONTEXT
    assert (again.bos, again.eos) == (found.bos, found.eos)


def test_padding_with_a_words_id_is_not_written(tmp_path: Path) -> None:
    """transformers would take the word for padding: `!`, which CLIP's own code pads with."""
    hf_pair.clip_tokenizer().save_pretrained(tmp_path / "a")
    held = tokenizer_of(tmp_path / "a", CONTEXT)
    padded = Tokenizer(held.backend, CONTEXT, held.backend.token_to_id("!"), held.bos, held.eos)
    write_tokenizer(padded, tmp_path / "b")
    write_json({"model_type": "clip"}, tmp_path / "b" / "config.json")
    assert ids(tmp_path / "b", ["the dog! !"]) == ours(padded, ["the dog! !"])
    assert AutoTokenizer.from_pretrained(tmp_path / "b").pad_token_id == held.eos


def test_clips_own_vocabulary_is_written(shared_data: Path, tmp_path: Path) -> None:
    """On words: what CLIP's cleaning of quotes and ligatures does is in the written normalizer as well."""
    held = clip_bpe(shared_data / "text" / "clip_bpe_vocab_16e6.txt.gz")
    write_tokenizer(held, tmp_path)
    write_json({"model_type": "clip"}, tmp_path / "config.json")
    texts = [*MORE, "a photo of a \ufb01ne \u2018dog\u2019, isn't it?", "word " * 90]
    there = AutoTokenizer.from_pretrained(tmp_path)(texts, truncation=True)["input_ids"]
    assert there == ours(held, texts) and there[-1][-1] == 49407 and len(there[-1]) == 77


def test_a_folder_of_a_gemma_tokenizer_ends_texts(tmp_path: Path) -> None:
    """SigLIP 2 of a fixed size names this class, and states by itself that it ends texts in lower case."""
    hf_pair.naflex_tokenizer().save_pretrained(tmp_path)
    config = read_json(tmp_path / "tokenizer_config.json")
    write_json({**config, "tokenizer_class": "GemmaTokenizer"}, tmp_path / "tokenizer_config.json")
    write_json({"model_type": "siglip"}, tmp_path / "config.json")
    assert ours(tokenizer_of(tmp_path, 64, fill=True), MORE) == ids(tmp_path, MORE, fill=True)
    write_json(
        {**config, "tokenizer_class": "GemmaTokenizer", "do_lower_case": True}, tmp_path / "tokenizer_config.json"
    )
    lower = [text.lower() for text in MORE]
    assert ours(tokenizer_of(tmp_path, 64, fill=True), MORE) == ids(tmp_path, lower, fill=True)


def test_what_does_not_fit_is_explained(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: the file is missing"):
        tokenizer_of(tmp_path, 8)
    with pytest.raises(CheckpointError, match="padding_side is left"):
        tokenizer_of(siglip_class(tmp_path, padding_side="left"), 8, fill=True)
    with pytest.raises(CheckpointError, match="its eos_token or pad_token is not in the vocabulary"):
        tokenizer_of(siglip_class(tmp_path, pad_token="<gap>", padding_side="right"), 8, fill=True)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(DataError, match="tokenizer.json"):
        tokenizer_of(siglip_class(tmp_path / "b"), 8) and tokenizer_of(tmp_path, 8)
    (tmp_path / "tokenizer_config.json").write_text("[]")
    with pytest.raises(CheckpointError, match=r"tokenizer_config\.json: holds no object"):
        tokenizer_of(tmp_path, 8)
