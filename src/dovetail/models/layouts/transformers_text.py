"""Tokenizers of transformers folders, in and out. Executes nothing that lies there."""

from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, normalizers

from dovetail.data import text
from dovetail.data.text import CONFIG, FILE, Tokenizer
from dovetail.models.files import CheckpointError, read_json, write_json
from dovetail.models.layouts.spiece import canonical, ended, siglip_backend

SPIECE = ("spiece.model", "sentencepiece.model")
VOCABULARIES = (FILE, "vocab.json", "vocab.txt", "tokenizer.model", *SPIECE)


def tokenizer_of(place: Path, context: int, fill: bool = False) -> Tokenizer:
    """The tokenizer of a transformers folder for texts of up to `context` tokens, or fewer where it states so.

    fill: every text is padded to the context and padding counts as text, as SigLIP's towers read it. A SigLIP's
    tokenizer carries its cleaning of texts (`spiece.canonical`) in its normalizer. Special tokens in a text are plain
    text, and HTML entities are resolved, other than in transformers. Raises DataError or CheckpointError for a file
    that is missing, damaged or of another kind.
    """
    stated = _stated(place / CONFIG)
    if fill and stated.get("padding_side") == "left":
        raise CheckpointError(
            f"{place / CONFIG}: padding_side is left; texts that are filled up can be padded right only"
        )
    if _kind(place, stated) == "SiglipTokenizer":
        found = _siglip(place, stated, context)
    elif not any((place / name).is_file() for name in VOCABULARIES):  # transformers would make up an empty one
        raise CheckpointError(f"{place / FILE}: the file is missing; save the tokenizer into the folder too")
    else:
        found = text.from_file(place, context)
    backend = tokenizers.Tokenizer.from_str(found.backend.to_str())
    if fill and stated.get("do_lower_case") and _keeps_capitals(backend):
        old = [] if backend.normalizer is None else [backend.normalizer]
        backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), *old])
    if getattr(backend.model, "end_of_word_suffix", None) == "</w>":  # of CLIP's words, which decoding should not show
        backend.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Replace("</w>", " ")])
    return Tokenizer(backend, found.context, found.pad, found.bos, found.eos, fill)


def write_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Writes tokenizer.json and a tokenizer_config.json that transformers reads. Ids of texts are the same there."""
    tokenizer.save(folder)
    named = {"pad": _pad(tokenizer), "bos": tokenizer.bos, "eos": tokenizer.eos}
    unknown = getattr(tokenizer.backend.model, "unk_token", None)
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": tokenizer.context,
        "padding_side": "right",
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids"] if tokenizer.fill else ["input_ids", "attention_mask"],
    }
    config |= {f"{k}_token": tokenizer.backend.id_to_token(i) for k, i in named.items() if i is not None}
    config |= {"unk_token": unknown} if unknown else {}
    write_json(config, folder / CONFIG)


def _pad(tokenizer: Tokenizer) -> int | None:
    """The padding that transformers shall use: it takes padding in a text for a special token, hence no word's id where
    another does as well."""
    added = tokenizer.backend.get_added_tokens_decoder()
    special = tokenizer.pad in added and added[tokenizer.pad].special
    return tokenizer.pad if special or tokenizer.fill or tokenizer.eos is None else tokenizer.eos


def _stated(path: Path) -> dict[str, Any]:
    held = read_json(path) if path.is_file() else {}
    if not isinstance(held, dict):
        raise CheckpointError(f"{path}: holds no object; save the tokenizer again")
    return held


def _kind(place: Path, stated: dict[str, Any]) -> str:
    """The class of the tokenizer: what is stated, else the one that transformers has for the model."""
    if found := stated.get("tokenizer_class"):
        return str(found).removesuffix("Fast")
    return "SiglipTokenizer" if _stated(place / "config.json").get("model_type") == "siglip" else ""


def _siglip(place: Path, stated: dict[str, Any], context: int) -> Tokenizer:
    """A SiglipTokenizer from its SentencePiece file, else from a tokenizer.json, which has all but the cleaning."""
    end, lower = _content(stated.get("eos_token"), "</s>"), bool(stated.get("do_lower_case", True))
    spiece = next((place / name for name in SPIECE if (place / name).is_file()), None)
    if spiece:
        backend, _ = siglip_backend(spiece, end, lower)
    elif (place / FILE).is_file():
        backend = text.from_file(place / FILE).backend
        old = [] if backend.normalizer is None else [backend.normalizer]
        backend.normalizer = normalizers.Sequence([*canonical(lower), *old])
        if backend.num_special_tokens_to_add(False) == 0 and backend.token_to_id(end) is not None:
            ended(backend, end)
    else:
        raise CheckpointError(f"{place}: has neither {SPIECE[0]} nor {FILE}; save the tokenizer into the folder too")
    eos = backend.token_to_id(end)
    pad = backend.token_to_id(_content(stated.get("pad_token"), "</s>"))
    if eos is None or pad is None:
        raise CheckpointError(f"{place / CONFIG}: its eos_token or pad_token is not in the vocabulary")
    longest = stated.get("model_max_length") or context
    return Tokenizer(backend, min(context, int(longest)), pad, None, eos)


def _content(token: Any, usual: str) -> str:
    """A token's text; older files state an object with its `content`."""
    found = token.get("content") if isinstance(token, dict) else token
    return str(found or usual)


def _keeps_capitals(backend: tokenizers.Tokenizer) -> bool:
    return backend.normalizer is None or backend.normalizer.normalize_str("A") != "a"
