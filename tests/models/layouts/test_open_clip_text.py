"""The ids of open_clip's tokenizers on real captions, cleaned in each way, and where CLIP's merges are taken from."""

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import open_clip
import pytest
from transformers import CLIPTokenizerFast

from dovetail.data.text import Tokenizer, clip_bpe
from dovetail.models.files import CheckpointError
from dovetail.models.layouts.open_clip_text import is_clip, tokenizer_of, with_padding_read, write_tokenizer
from tests.models.layouts.open_clips import CAPTIONS, config, tokens, words

BPE = Path(open_clip.__file__).parent / "bpe_simple_vocab_16e6.txt.gz"
BARE = [
    "&lt;b&gt; &amp;amp; a dog’s “ball”",
    "  two\n lines\tof_text - with (punctuation)...  ",
    "ﬁne Ünïcode 一只猫 🐈",
    "7 1/2",
]


@pytest.fixture(scope="session")
def captions(shared_data: Path) -> list[str]:
    """Some hundred real ones, and awkward ones."""
    lines = (shared_data / "flickr8k" / "train.jsonl").read_text().splitlines()[:120]
    found = [text for line in lines for text in json.loads(line)["captions"]]
    return found[:400] + BARE + CAPTIONS


def _same(ours: Tokenizer, theirs: Any, texts: list[str]) -> None:
    """The ids before the padding are the same, and nothing but padding comes after them."""
    found = ours(texts)
    for text, ids, real, wanted in zip(texts, found.ids, found.mask, theirs, strict=True):
        mine = ids[real].tolist()
        assert mine == wanted.tolist()[: len(mine)], text
        assert set(wanted.tolist()[len(mine) :]) <= {ours.pad}, text


@pytest.mark.parametrize("clean", [None, "lower", "canonicalize"])
@pytest.mark.parametrize("context", [77, 9])
def test_clips_tokenizer(clean: str | None, context: int, captions: list[str], tmp_path: Path) -> None:
    cfg = config(text={"context_length": context} | ({"tokenizer_kwargs": {"clean": clean}} if clean else {}))
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": cfg}))
    ours = tokenizer_of(cfg["text_cfg"], tmp_path)
    _same(ours, tokens(tmp_path, captions), captions)
    assert is_clip(ours) and ours.pad == 0 and ours.context == context


@pytest.mark.parametrize("bert", [True, False], ids=["bert", "siglip"])
@pytest.mark.parametrize("clean", [None, "whitespace", "lower", "canonicalize"])
def test_tokenizers_of_transformers(clean: str | None, bert: bool, captions: list[str], tmp_path: Path) -> None:
    text: dict[str, Any] = {"context_length": 24, "hf_tokenizer_name": "somebody/words"}
    cfg = config(text=text | ({"tokenizer_kwargs": {"clean": clean}} if clean else {}))
    words(tmp_path, bert)
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": cfg}))
    ours = tokenizer_of(cfg["text_cfg"], tmp_path)
    theirs = tokens(tmp_path, captions)
    _same(ours, theirs, captions)
    filled = with_padding_read(ours)(captions)
    assert (filled.ids == theirs).all() and filled.mask.all()


def test_the_separator_is_stripped(captions: list[str], tmp_path: Path) -> None:
    text = {"context_length": 12, "hf_tokenizer_name": "bert", "tokenizer_kwargs": {"strip_sep_token": True}}
    words(tmp_path, bert=True)
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config(text=text)}))
    ours, theirs = tokenizer_of(text, tmp_path), tokens(tmp_path, captions)
    assert (with_padding_read(ours)(captions).ids == theirs).all()
    assert (theirs[:, 0] == 1).all() and not (theirs == 2).any()


def test_where_clips_merges_are_taken_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = clip_bpe(BPE)(CAPTIONS).ids
    shutil.copy(BPE, tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)  # as where there is no open_clip
    assert (tokenizer_of({}, tmp_path)(CAPTIONS).ids == wanted).all()
    clip_bpe(BPE).save(tmp_path / "ours")
    CLIPTokenizerFast.from_pretrained(_clips(tmp_path / "hf")).save_pretrained(tmp_path / "theirs")
    for name in ("ours", "hf", "theirs"):
        found = tokenizer_of({}, tmp_path / name)
        assert (found(CAPTIONS).ids == wanted).all() and found.pad == 0 and is_clip(found), name
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        CheckpointError, match=r"empty: CLIP's tokenizer is missing; put bpe_simple.* install open_clip_torch"
    ):
        tokenizer_of({}, tmp_path / "empty")


def test_says_what_is_not_there_or_not_supported(tmp_path: Path) -> None:
    named = {"hf_tokenizer_name": "somebody/words"}
    with pytest.raises(CheckpointError, match=r"names the tokenizer somebody/words, which is neither .*; put its"):
        tokenizer_of(named, tmp_path)
    words(tmp_path)
    for options, told in (
        ({"tokenizer_kwargs": {"clean": "soap"}}, "clean = 'soap' is not supported"),
        ({"tokenizer_mode": "clips"}, "tokenizer_mode = 'clips' of the tokenizer is not supported"),
        ({"tokenizer_kwargs": {"language": "fr"}}, "language = 'fr' of the tokenizer is not supported"),
    ):
        with pytest.raises(CheckpointError, match=told):
            tokenizer_of(named | options, tmp_path)
    with pytest.raises(CheckpointError, match="clean = 'whitespace' is not supported with CLIP's tokenizer"):
        tokenizer_of({"tokenizer_kwargs": {"clean": "whitespace"}}, tmp_path)


@pytest.mark.parametrize("bert", [True, False])
def test_a_written_tokenizer_is_open_clips(bert: bool, captions: list[str], tmp_path: Path) -> None:
    text = {"context_length": 24, "hf_tokenizer_name": "x", "tokenizer_kwargs": {"clean": "canonicalize"}}
    words(tmp_path / "theirs", bert)
    ours = tokenizer_of(text, tmp_path / "theirs")
    (tmp_path / "ours").mkdir()
    entries = {"context_length": 24} | write_tokenizer(ours, tmp_path / "ours")
    (tmp_path / "ours" / "open_clip_config.json").write_text(json.dumps({"model_cfg": config(text=entries)}))
    _same(ours, tokens(tmp_path / "ours", captions), captions)
    _same(tokenizer_of(entries, tmp_path / "ours"), tokens(tmp_path / "ours", captions), captions)


def _clips(folder: Path) -> Path:
    """A folder with transformers' files of CLIP's tokenizer."""
    made = clip_bpe(BPE)
    held = json.loads(made.backend.to_str())["model"]
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps(held["vocab"]))
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in held["merges"]]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    return folder
