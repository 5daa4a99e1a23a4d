"""Texts in, token ids out: one wrapper for every tokenizer of the `tokenizers` library, and two ways to make one."""

import gzip
import html
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import tokenizers
import torch
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, processors, trainers

from dovetail.contracts import Tokens
from dovetail.data.records import DataError

# Loader workers each encode their own batch: threads on top of them gain nothing, and a forked worker cannot use them.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

T = TypeVar("T")

FILE, CONFIG = "tokenizer.json", "tokenizer_config.json"

_CLIP_MERGES = 49152 - 256 - 2  # of the file's 262,144 lines, those that CLIP was trained with
_CLIP_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_CLIP_REPLACED = {
    "[\u02bc\u2018-\u201b]": "'",  # curly quotes
    "[\u201c-\u201f]": '"',
    **{chr(0xFB00 + i): letters for i, letters in enumerate(["ff", "fi", "fl", "ffi", "ffl", "ſt", "st"])},
    **{chr(ord(c) + 0xFEE0): c for c in "!%(),.:;?~"},  # full-width punctuation
}


class Tokenizer:
    """Texts to ids, at most `context` of them a text, the end-of-text token included.

    pad, bos, eos: ids of padding, beginning and end; None where the tokenizer adds no such token. fill: every text is
    padded to the context and the padding counts as text, as SigLIP's towers read it. HTML entities
    (`&amp;`) are resolved first, as captions from the web need. A special token written out in a text is plain text.
    Takes the backend over: its truncation and padding are set here. Picklable.

    Raises DataError for a context without room for a token.
    """

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        context: int,
        pad: int = 0,
        bos: int | None = None,
        eos: int | None = None,
        fill: bool = False,
    ) -> None:
        added = backend.num_special_tokens_to_add(False)
        if context <= added:
            raise DataError(f"a context of {context} tokens leaves no room beside {added} special ones; make it larger")
        backend.no_padding()
        backend.enable_truncation(context)
        backend.encode_special_tokens = True
        self.backend, self.context, self.pad, self.bos, self.eos = backend, context, pad, bos, eos
        self.fill = fill

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return Tokenizer, (self.backend, self.context, self.pad, self.bos, self.eos, self.fill)

    @property
    def vocab_size(self) -> int:
        """Number of ids, the special ones included: every id is below it."""
        return max(self.backend.get_vocab_size(), self.pad + 1)

    @property
    def special(self) -> tuple[int, ...]:
        """The ids that are no words: of padding, beginning and end."""
        return tuple(i for i in (self.pad, self.bos, self.eos) if i is not None)

    @property
    def blank(self) -> int:
        """The id that stands for a word to be guessed: the tokenizer's own for that, or else the padding's."""
        own = (self.backend.token_to_id(name) for name in ("[MASK]", "<mask>"))
        return next((i for i in own if i is not None), self.pad)

    def with_context(self, context: int) -> "Tokenizer":
        """The same for texts of up to another number of tokens."""
        backend = tokenizers.Tokenizer.from_str(self.backend.to_str())  # its truncation is its own
        return Tokenizer(backend, context, self.pad, self.bos, self.eos, self.fill)

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """Ids of t texts, padded to the longest of them. One text alone counts as a list of one.

        A text of no tokens keeps one padding token that is marked real, lest a row be empty. Raises DataError when
        something else than a text is among them.
        """
        rows = [encoding.ids or [self.pad] for encoding in self._encode([texts] if isinstance(texts, str) else texts)]
        longest = self.context if self.fill else max(map(len, rows), default=0)
        ids = torch.tensor([row + [self.pad] * (longest - len(row)) for row in rows], dtype=torch.int64)
        lengths = torch.tensor([longest if self.fill else len(row) for row in rows], dtype=torch.int64)
        return Tokens(ids.view(len(rows), longest), torch.arange(longest)[None, :] < lengths[:, None])

    def decode(self, ids: Sequence[int] | torch.Tensor) -> str:
        """The text of one row of ids, without special tokens and padding."""
        given = ids.tolist() if isinstance(ids, torch.Tensor) else list(ids)
        if self.eos in given[1:]:  # what follows is padding, whose id may be a word's as well
            given = given[: given.index(self.eos, 1)]
        return self.backend.decode(given, skip_special_tokens=True).strip()

    def save(self, folder: str | Path) -> None:
        """Writes tokenizer.json and tokenizer_config.json."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        config = {"context": self.context, "pad": self.pad, "bos": self.bos, "eos": self.eos}
        config |= {"fill": True} if self.fill else {}
        _write(Path(folder) / FILE, self.backend.to_str(pretty=False))
        _write(Path(folder) / CONFIG, json.dumps(config, indent=2) + "\n")

    @staticmethod
    def load(folder: str | Path) -> "Tokenizer":
        """What `save` wrote. Raises DataError that names the file which is missing or damaged."""
        backend = _read(Path(folder) / FILE, tokenizers.Tokenizer.from_str)
        config = _read(Path(folder) / CONFIG, json.loads)
        if not isinstance(config, dict) or (lost := {"context", "pad", "bos", "eos"} - set(config)):
            detail = f"has no {', '.join(sorted(lost))}" if isinstance(config, dict) else "holds no object"
            raise DataError(f"{Path(folder) / CONFIG}: {detail}; for a transformers folder use text.from_file")
        return Tokenizer(
            backend, config["context"], config["pad"], config["bos"], config["eos"], config.get("fill", False)
        )

    def _encode(self, texts: Sequence[Any]) -> list[tokenizers.Encoding]:
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                raise DataError(f"text {i} is {text!r} of type {type(text).__name__}; expected a string")
        return self.backend.encode_batch_fast([_clean(text) for text in texts])


def train_bpe(texts: Iterable[str], vocab_size: int = 8192, context: int = 64) -> Tokenizer:
    """A byte-level BPE of these texts, in lower case. Deterministic; every text of every script has ids.

    Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", 2016; over bytes as in Radford et
    al., "Language Models are Unsupervised Multitask Learners", 2019.

    Raises DataError when vocab_size has no room for the 256 bytes and 3 special tokens.
    """
    if vocab_size < 259:
        raise DataError(f"a vocabulary of {vocab_size} is too small; 256 bytes and 3 special tokens need 259")
    backend = tokenizers.Tokenizer(models.BPE())
    backend.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        show_progress=False,
        special_tokens=["<pad>", "<bos>", "<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=32,
    )
    with _all_cores():
        backend.train_from_iterator(map(_clean, texts), trainer)
    return Tokenizer(_ended(backend, "<bos>", "<eos>"), context, 0, 1, 2)


def clip_bpe(path: str | Path, context: int = 77) -> Tokenizer:
    """CLIP's tokenizer, from its `bpe_simple_vocab_16e6.txt` or `.txt.gz`.

    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021. Gives the ids of the
    authors' code, which cleans texts with ftfy; of that, curly quotes, ligatures, full-width punctuation and Unicode
    composition are repeated here; the repair of wrongly decoded text and full-width letters are not. Padding is 0, the
    end-of-text token has the highest id.

    Raises DataError when the file is missing or is another one.
    """
    lines = _read(Path(path), str.splitlines)
    merges = [tuple(line.split()) for line in lines[1 : _CLIP_MERGES + 1]]
    if len(merges) < _CLIP_MERGES or any(len(pair) != 2 for pair in merges):
        raise DataError(f"{path}: expected a first line to skip and {_CLIP_MERGES} pairs; is it CLIP's BPE file?")
    letters = _byte_letters()
    words = [*letters, *(c + "</w>" for c in letters), *map("".join, merges), "<|startoftext|>", "<|endoftext|>"]
    pairs = [(left, right) for left, right in merges]
    backend = tokenizers.Tokenizer(models.BPE({w: i for i, w in enumerate(words)}, pairs, end_of_word_suffix="</w>"))
    backend.add_special_tokens(words[-2:])
    backend.normalizer = normalizers.Sequence([*repairs(), normalizers.Lowercase()])
    split = pre_tokenizers.Split(Regex(_CLIP_WORDS), behavior="removed", invert=True)
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    backend.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Replace("</w>", " ")])
    return Tokenizer(_ended(backend, *words[-2:]), context, 0, len(words) - 2, len(words) - 1)


def repairs() -> list[normalizers.Normalizer]:
    """What is repeated here of ftfy, with which CLIP's authors, and open_clip, clean texts: see `clip_bpe`."""
    return [*(normalizers.Replace(Regex(old), new) for old, new in _CLIP_REPLACED.items()), normalizers.NFC()]


def from_file(path: str | Path, context: int = 77) -> Tokenizer:
    """Any tokenizer of the `tokenizers` library: its json file, a transformers folder or a run's. Executes nothing.

    Beginning, end and padding are those that the tokenizer itself adds; the context is at most what the folder states.

    Raises DataError when the file is missing, damaged or of another kind.
    """
    path = Path(path)
    if (path / CONFIG).is_file() and "context" in _read(path / CONFIG, json.loads):
        return Tokenizer.load(path)  # one of ours, such as a run's folder
    if path.is_dir():
        return _from_transformers(path, context)
    backend = _read(path, tokenizers.Tokenizer.from_str)
    bos, eos = _ends(backend)
    return Tokenizer(backend, context, _padding(backend, eos), bos, eos)


def _from_transformers(path: Path, context: int) -> Tokenizer:
    from transformers import AutoTokenizer  # seconds to import, and rarely needed

    try:
        held = AutoTokenizer.from_pretrained(str(path), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # it raises anything on files of another kind
        raise DataError(f"{path}: transformers cannot read a tokenizer from this folder ({error})") from error
    backend = getattr(held, "backend_tokenizer", None)
    if not isinstance(backend, tokenizers.Tokenizer):
        raise DataError(f"{path}: {type(held).__name__} is not a fast tokenizer; save it as one, with a tokenizer.json")
    bos, eos = _ends(backend)
    pad = held.pad_token_id if held.pad_token_id is not None else (eos or 0)
    return Tokenizer(backend, min(context, held.model_max_length), pad, bos, eos)


def _ends(backend: tokenizers.Tokenizer) -> tuple[int | None, int | None]:
    """Which ids the tokenizer puts before and after a text."""
    backend.no_truncation()
    bare, full = backend.encode("a", add_special_tokens=False).ids, backend.encode("a").ids
    if len(full) == len(bare):
        return None, None
    return (full[0] if full[0] != bare[0] else None), (full[-1] if full[-1] != bare[-1] else None)


def _padding(backend: tokenizers.Tokenizer, eos: int | None) -> int:
    """The padding id that the tokenizer states, else that of a usual name, else the end, else 0."""
    if backend.padding:
        return backend.padding["pad_id"]
    named = [backend.token_to_id(name) for name in ("<pad>", "[PAD]", "<|pad|>")]
    return next((i for i in [*named, eos] if i is not None), 0)


def _ended(backend: tokenizers.Tokenizer, bos: str, eos: str) -> tokenizers.Tokenizer:
    """The same with its beginning and end around every text."""
    ids = [(token, backend.token_to_id(token)) for token in (bos, eos)]
    backend.post_processor = processors.TemplateProcessing(single=f"{bos} $A {eos}", special_tokens=ids)
    return backend


def _byte_letters() -> list[str]:
    """A printable letter for each byte, in the order of GPT-2's code: printable Latin-1, then U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = 256 - len(printable)
    return [*map(chr, printable), *(chr(256 + i) for i in range(others))]


def _clean(text: str) -> str:
    """HTML entities resolved, twice as CLIP does (`&amp;lt;`); half surrogate pairs, which have no UTF-8, replaced."""
    if "&" in text:
        text = html.unescape(html.unescape(text))
    return text.encode("utf-8", "replace").decode("utf-8")


@contextmanager
def _all_cores() -> Iterator[None]:
    """Lets the library use threads for a while; the variable is set again afterwards, as forked workers need it."""
    before = os.environ["TOKENIZERS_PARALLELISM"]
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    try:
        yield
    finally:
        os.environ["TOKENIZERS_PARALLELISM"] = before


def _read(path: Path, parse: Callable[[str], T]) -> T:
    """What `parse` makes of a text file, gzipped or not. Raises DataError that names the file."""
    try:
        held = path.read_bytes()
        return parse((gzip.decompress(held) if held.startswith(b"\x1f\x8b") else held).decode("utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file; the tokenizer cannot be loaded without it") from error
    except Exception as error:  # the tokenizers library raises bare Exception
        raise DataError(f"{path}: damaged or of another kind ({error})") from error


def _write(path: Path, text: str) -> None:
    """Beside, then in place, so that no half-written file is ever found."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)
