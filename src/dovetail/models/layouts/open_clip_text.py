"""The tokenizer of an open_clip checkpoint, as `text_cfg` states it: CLIP's byte pairs, or a transformers tokenizer.

CLIP's merges are no part of this package: they are taken from the checkpoint's folder, or from an installed open_clip.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers
from huggingface_hub import snapshot_download
from tokenizers import Regex, normalizers, processors

from dovetail.data.records import DataError
from dovetail.data.text import Tokenizer, clip_bpe, from_file, repairs
from dovetail.models.files import CheckpointError, write_json

MERGES = ("bpe_simple_vocab_16e6.txt.gz", "bpe_simple_vocab_16e6.txt", "merges.txt")
TOKENIZER = "tokenizer.json"
FILES = ["tokenizer*", "special_tokens_map.json", "vocab*", "merges.txt", "*.model", "config.json"]  # of a tokenizer
MARKS = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "vocab.txt", "spiece.model")
CLIP_VOCABULARY = 49408

_SPACES = (normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip())
_CLEANING: dict[str, tuple[normalizers.Normalizer, ...]] = {
    "whitespace": _SPACES,
    "lower": (*_SPACES, normalizers.Lowercase()),
    "canonicalize": (
        normalizers.Replace("_", " "),
        normalizers.Replace(Regex(r"[!-/:-@\[-`{-~]"), ""),  # the punctuation of ASCII
        normalizers.Lowercase(),
        *_SPACES,
    ),
}


def tokenizer_of(cfg: Mapping[str, Any], place: Path) -> Tokenizer:
    """The tokenizer that a `text_cfg` states, for a checkpoint in the folder `place`.

    Texts are cleaned as there (canonicalize, lower, whitespace), but for what `data.text` says of ftfy. Raises
    CheckpointError when its files are nowhere, or for what it asks for that is not supported.
    """
    options = dict(cfg.get("tokenizer_kwargs") or {})
    context, name = int(cfg.get("context_length") or 77), cfg.get("hf_tokenizer_name")
    clean = options.pop("clean", "whitespace" if name else "lower")
    strip = options.pop("strip_sep_token", False) and name
    if clean not in _CLEANING:
        raise CheckpointError(
            f"text_cfg: tokenizer_kwargs: clean = {clean!r} is not supported, {', '.join(_CLEANING)} are"
        )
    if cfg.get("tokenizer_mode") or any(options.values()):
        asked = {"tokenizer_mode": cfg.get("tokenizer_mode"), **options}
        named = ", ".join(f"{k} = {v!r}" for k, v in asked.items() if v)
        raise CheckpointError(f"text_cfg: {named} of the tokenizer is not supported")
    if name:
        return _transformers(str(name), place, context, clean, bool(strip))
    return _clip(place, context, clean)


def with_padding_read(tokenizer: Tokenizer) -> Tokenizer:
    """The same for a tower that reads padding as text, as open_clip's do that see more than what came before."""
    t = tokenizer
    return Tokenizer(t.backend, t.context, t.pad, t.bos, t.eos, fill=True)


def is_clip(tokenizer: Tokenizer) -> bool:
    """Whether it is CLIP's own, which open_clip brings along."""
    known, backend = ("<|startoftext|>", "<|endoftext|>"), tokenizer.backend
    ends = [backend.token_to_id(word) for word in known]
    return backend.get_vocab_size() == CLIP_VOCABULARY and ends == [CLIP_VOCABULARY - 2, CLIP_VOCABULARY - 1]


def write_tokenizer(tokenizer: Tokenizer, folder: Path) -> dict[str, Any]:
    """Writes the tokenizer and returns the entries of `text_cfg` that say so. CLIP's own, which open_clip brings along,
    is written in our own layout, any other one as a fast tokenizer of transformers."""
    if is_clip(tokenizer) and (tokenizer.pad == 0 or not tokenizer.fill):  # of it open_clip pads with 0
        tokenizer.save(folder)
        return {}
    backend = tokenizers.Tokenizer.from_str(tokenizer.backend.to_str())
    backend.no_truncation()  # transformers truncates when asked
    named = {"pad_token": tokenizer.pad, "bos_token": tokenizer.bos, "eos_token": tokenizer.eos}
    tokens = {key: backend.id_to_token(i) for key, i in named.items() if i is not None}
    if tokens["pad_token"] is None:
        raise CheckpointError(f"open_clip pads texts with a token; the tokenizer has none of the id {tokenizer.pad}")
    kind = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": tokenizer.context}
    part = folder / (TOKENIZER + ".part")
    part.write_text(backend.to_str(pretty=False), encoding="utf-8")
    part.replace(folder / TOKENIZER)
    write_json(kind | {k: v for k, v in tokens.items() if v is not None}, folder / "tokenizer_config.json")
    return {"hf_tokenizer_name": "."}  # for a folder open_clip looks nowhere else


def _clip(place: Path, context: int, clean: str) -> Tokenizer:
    spec = importlib.util.find_spec("open_clip")
    installed = Path(spec.origin).parent / MERGES[0] if spec and spec.origin else None
    found = [path for path in (*(place / name for name in MERGES), installed) if path is not None and path.is_file()]
    try:
        if found:
            made = clip_bpe(found[0], context)
        elif (place / TOKENIZER).is_file():
            made = from_file(place / TOKENIZER, context)
            made = Tokenizer(made.backend, context, 0, made.bos, made.eos)
        else:
            raise CheckpointError(
                f"{place}: CLIP's tokenizer is missing; put {MERGES[0]} there, from clip/ in openai/CLIP, "
                "or merges.txt, from the hub's openai/clip-vit-large-patch14, or install open_clip_torch"
            )
    except DataError as error:
        raise CheckpointError(str(error)) from error
    if clean == "whitespace":
        raise CheckpointError("text_cfg: tokenizer_kwargs: clean = 'whitespace' is not supported with CLIP's tokenizer")
    return made if clean == "lower" else _cleaned(made, clean)


def _transformers(name: str, place: Path, context: int, clean: str, strip: bool) -> Tokenizer:
    folder = next((p for p in (place, place / name) if any((p / mark).is_file() for mark in MARKS)), None)
    if folder is None:
        try:
            folder = Path(snapshot_download(name, allow_patterns=FILES))
        except (OSError, ValueError) as error:  # offline, no such id, not of the form of an id
            raise CheckpointError(
                f"{place}: text_cfg names the tokenizer {name}, which is neither in this folder nor handed out by the "
                f"hub ({error}); put its tokenizer.json and tokenizer_config.json there"
            ) from error
    try:
        held = from_file(folder, context)
        made = Tokenizer(held.backend, context, held.pad, held.bos, held.eos)
    except DataError as error:
        raise CheckpointError(str(error)) from error
    return _cleaned(_without_end(made) if strip else made, clean)


def _cleaned(tokenizer: Tokenizer, clean: str) -> Tokenizer:
    backend = tokenizer.backend
    own = [] if backend.normalizer is None else [backend.normalizer]
    backend.normalizer = normalizers.Sequence([*repairs(), *_CLEANING[clean], *own])
    return tokenizer


def _without_end(tokenizer: Tokenizer) -> Tokenizer:
    """The end of a text (BERT's separator) becomes the id 0, as CLIPA's models were trained."""
    backend, zero = tokenizer.backend, tokenizer.backend.id_to_token(0)
    if tokenizer.eos is None or zero is None:
        raise CheckpointError("text_cfg: tokenizer_kwargs: strip_sep_token is not supported for this tokenizer")
    start = [] if tokenizer.bos is None else [(str(backend.id_to_token(tokenizer.bos)), tokenizer.bos)]
    backend.post_processor = processors.TemplateProcessing(
        single=" ".join([*(token for token, _ in start), "$A", zero]), special_tokens=[*start, (zero, 0)]
    )
    return Tokenizer(backend, tokenizer.context, tokenizer.pad, tokenizer.bos, None)
