import gzip
import json
import pickle
import time
import unicodedata
from pathlib import Path

import pytest
import tokenizers
import torch
from tokenizers import models, pre_tokenizers, processors

from dovetail.data.records import DataError
from dovetail.data.text import Tokenizer, clip_bpe, from_file, train_bpe

CAPTIONS = [
    "A black dog is running after a white dog in the snow .",
    "Two dogs play together in the snow .",
    "A child in a pink dress is climbing up a set of stairs .",
    "在雪地中奔跑的狗。",
    "كلب أسود يركض خلف كلب أبيض في الثلج",
    "Ein schwarzer Hund läuft im Schnee",
    "🐕 plays in the ❄️",
] * 3

WEIRD = {
    "words": "word " * 2000,
    "one word": "a" * 10_000,
    "chinese": "狗" * 10_000,
    "arabic": "كلب أسود " * 1200,
    "emoji": "👨‍👩‍👧" * 3000,
    "marks": "!" * 10_000,
    "spaces": " " * 10_000,
    "entities": "&amp;" * 2000,
}


@pytest.fixture(scope="module")
def bpe() -> Tokenizer:
    return train_bpe(CAPTIONS, vocab_size=400, context=16)


@pytest.fixture(scope="session")
def clip(shared_data: Path) -> Tokenizer:
    return clip_bpe(shared_data / "text" / "clip_bpe_vocab_16e6.txt.gz")


def word_tokenizer(path: Path) -> Path:
    """A tokenizer file as somebody else would write it: whole words, BERT's special tokens, padding set."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "cat", "dog"]
    backend = tokenizers.Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    backend.add_special_tokens(words[:4])
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    backend.save(str(path))
    return path


def test_batch_is_padded_to_its_longest(bpe: Tokenizer) -> None:
    texts = ["a dog", "", "Two dogs play together in the snow ."]
    tokens = bpe(texts)
    alone = [bpe([t]).ids[0].tolist() for t in texts]
    assert tokens.ids.dtype == torch.int64 and tokens.ids.shape == (3, max(map(len, alone)))
    for row, mask, ids in zip(tokens.ids.tolist(), tokens.mask.tolist(), alone, strict=True):
        assert row == ids + [bpe.pad] * (len(row) - len(ids))
        assert mask == [True] * len(ids) + [False] * (len(row) - len(ids))
        assert ids[0] == bpe.bos and ids[-1] == bpe.eos
    assert alone[1] == [bpe.bos, bpe.eos]


def test_what_is_no_word_and_what_hides_one(bpe: Tokenizer) -> None:
    assert bpe.special == (bpe.pad, bpe.bos, bpe.eos) and bpe.blank == bpe.pad, "its padding is never a word"
    words = {w: i for i, w in enumerate(["[PAD]", "[MASK]", "a"])}
    other = tokenizers.Tokenizer(models.WordLevel(words, unk_token="a"))
    assert Tokenizer(other, 8).blank == 1 and Tokenizer(other, 8).special == (0,)


def test_padding_that_counts_as_text(bpe: Tokenizer, tmp_path: Path) -> None:
    filled = Tokenizer(bpe.backend, bpe.context, bpe.pad, bpe.bos, bpe.eos, fill=True)
    found, plain = filled(["a dog", "a dog on a mat"]), bpe(["a dog", "a dog on a mat"])
    assert found.ids.shape == (2, bpe.context) and found.mask.all()
    longest = plain.ids.shape[1]
    assert torch.equal(found.ids[:, :longest], plain.ids) and (found.ids[:, longest:] == bpe.pad).all()
    filled.save(tmp_path)
    assert torch.equal(Tokenizer.load(tmp_path)(["a dog"]).ids, filled(["a dog"]).ids)
    assert pickle.loads(pickle.dumps(filled)).fill


def test_no_texts_and_a_single_one(bpe: Tokenizer) -> None:
    assert bpe([]).ids.shape == bpe([]).mask.shape == (0, 0)
    assert torch.equal(bpe("a dog").ids, bpe(["a dog"]).ids)


def test_truncation_keeps_the_end(bpe: Tokenizer) -> None:
    long = bpe([" ".join(CAPTIONS)]).ids[0].tolist()
    assert len(long) == 16 and long[0] == bpe.bos and long[-1] == bpe.eos
    with pytest.raises(DataError, match="a context of 2 tokens leaves no room"):
        Tokenizer(pickle.loads(pickle.dumps(bpe.backend)), 2)


@pytest.mark.parametrize("text", [*CAPTIONS[:7], "naïve ﬁancée", "日本語 と 한국어", "👨‍👩‍👧‍👦 family", "\x00\x07 odd"])
def test_every_script_survives(bpe: Tokenizer, text: str) -> None:
    copy = pickle.loads(pickle.dumps(bpe.backend))  # a tokenizer takes its backend over
    wide = Tokenizer(copy, 200, bpe.pad, bpe.bos, bpe.eos)
    assert wide.decode(wide([text]).ids[0]) == unicodedata.normalize("NFKC", text).lower().strip()


def test_case_and_entities_do_not_matter(bpe: Tokenizer) -> None:
    a, b = bpe(["Salt &amp;amp; PEPPER"]), bpe(["salt & pepper"])
    assert torch.equal(a.ids, b.ids)


def test_special_tokens_in_a_text_are_plain_text(bpe: Tokenizer) -> None:
    ids = bpe(["<eos> <pad> x"]).ids[0].tolist()
    assert ids.count(bpe.eos) == 1 and ids[-1] == bpe.eos and bpe.pad not in ids
    again = pickle.loads(pickle.dumps(bpe))
    assert again(["<eos> <pad> x"]).ids[0].tolist() == ids


def test_half_a_surrogate_pair_is_no_obstacle(bpe: Tokenizer) -> None:
    assert bpe(["a \ud83d dog"]).ids.tolist() == bpe(["a ? dog"]).ids.tolist()


def test_what_is_no_text_is_named(bpe: Tokenizer) -> None:
    with pytest.raises(DataError, match=r"text 1 is None of type NoneType; expected a string"):
        bpe._encode(["a", None])  # not called itself, for the tests' checks of types would speak first


@pytest.mark.parametrize("name", WEIRD)
def test_10000_characters_take_no_time(bpe: Tokenizer, name: str) -> None:
    start = time.process_time()
    ids = bpe([WEIRD[name]]).ids
    train_bpe([*CAPTIONS, WEIRD[name]], 400)
    assert time.process_time() - start < 10  # quadratic work would take minutes
    assert ids.shape[1] <= 16 and ids[0, -1] == bpe.eos


def test_training_is_deterministic_and_of_the_size_asked() -> None:
    first, second = (train_bpe(iter(CAPTIONS), 300, 16) for _ in range(2))
    assert first.backend.to_str() == second.backend.to_str()
    assert first.vocab_size == 300 and (first.pad, first.bos, first.eos) == (0, 1, 2)
    assert len(first(["snow"]).ids[0]) < len(train_bpe([], 300)(["snow"]).ids[0])  # it learnt something
    with pytest.raises(DataError, match="a vocabulary of 100 is too small"):
        train_bpe(CAPTIONS, 100)


def test_ids_are_below_the_vocabulary_size(bpe: Tokenizer) -> None:
    ids = bpe([*CAPTIONS, *WEIRD.values()]).ids
    assert ids.min() >= 0 and ids.max() < bpe.vocab_size


def test_save_and_load(bpe: Tokenizer, tmp_path: Path) -> None:
    bpe.save(tmp_path / "new")
    again = Tokenizer.load(tmp_path / "new")
    texts = [*CAPTIONS, "", "<eos>"]
    assert torch.equal(again(texts).ids, bpe(texts).ids)
    assert (again.context, again.pad, again.bos, again.eos) == (16, 0, 1, 2)
    assert sorted(f.name for f in (tmp_path / "new").iterdir()) == ["tokenizer.json", "tokenizer_config.json"]


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_a_missing_or_damaged_file_is_named(bpe: Tokenizer, tmp_path: Path, name: str) -> None:
    bpe.save(tmp_path)
    (tmp_path / name).write_text("{ half")
    with pytest.raises(DataError, match=rf"{name}: damaged or of another kind"):
        Tokenizer.load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=rf"{name}: there is no such file"):
        Tokenizer.load(tmp_path)


def test_a_foreign_configuration_is_refused(bpe: Tokenizer, tmp_path: Path) -> None:
    bpe.save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", "pad": 0}))
    with pytest.raises(DataError, match="has no bos, context, eos"):
        Tokenizer.load(tmp_path)


def test_any_tokenizers_file(tmp_path: Path) -> None:
    tokenizer = from_file(word_tokenizer(tmp_path / "words.json"), context=4)
    assert (tokenizer.pad, tokenizer.bos, tokenizer.eos, tokenizer.vocab_size) == (0, 2, 3, 7)
    assert tokenizer(["a cat", "a dog a cat", "[SEP]"]).ids.tolist()[:2] == [[2, 4, 5, 3], [2, 4, 6, 3]]
    bare = tokenizers.Tokenizer.from_file(str(tmp_path / "words.json"))
    bare.post_processor = processors.TemplateProcessing("$A", special_tokens=[])
    bare.save(str(tmp_path / "bare.json"))
    tokens = from_file(tmp_path / "bare.json")(["", "a cat"])
    assert tokens.ids.tolist() == [[0, 0], [4, 5]] and tokens.mask.tolist() == [[True, False], [True, True]]
    with pytest.raises(DataError, match=r"nothing\.json: there is no such file"):
        from_file(tmp_path / "nothing.json")


def test_a_transformers_folder(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    held = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(word_tokenizer(tmp_path / "words.json")), pad_token="[PAD]", model_max_length=5
    )
    held.save_pretrained(tmp_path / "folder")
    tokenizer = from_file(tmp_path / "folder")
    assert (tokenizer.context, tokenizer.pad, tokenizer.bos, tokenizer.eos) == (5, 0, 2, 3)
    texts = ["a cat", "a dog a cat a dog"]
    wanted = held(texts, padding=True, truncation=True, return_tensors="pt")
    tokens = tokenizer(texts)
    assert torch.equal(tokens.ids, wanted["input_ids"]) and torch.equal(tokens.mask, wanted["attention_mask"].bool())
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: transformers cannot read a tokenizer"):
        from_file(tmp_path / "empty")


KNOWN = {
    "a photo of a cat": [49406, 320, 1125, 539, 320, 2368, 49407],
    "Hello, World!": [49406, 3306, 267, 1002, 256, 49407],
    "a diagram": [49406, 320, 22697, 49407],
    "": [49406, 49407],
}


@pytest.mark.parametrize("text", KNOWN)
def test_clip_gives_the_known_ids(clip: Tokenizer, text: str) -> None:
    assert clip([text]).ids[0].tolist() == KNOWN[text]
    assert (clip.vocab_size, clip.pad, clip.bos, clip.eos, clip.context) == (49408, 0, 49406, 49407, 77)


def test_clip_equals_its_reference(clip: Tokenizer, shared_data: Path) -> None:
    reference = pytest.importorskip("open_clip.tokenizer").SimpleTokenizer()
    lines = (shared_data / "flickr8k" / "dev.jsonl").read_text().splitlines()[:150]
    records = [json.loads(line) for line in lines]
    texts = [c for r in records for c in (*r["captions"], *r.get("captions_zh", []), *r.get("captions_ar", []))]
    texts += [text[:300] for text in WEIRD.values()]
    texts += [
        "“curly” it’s ﬁne",
        "AT&amp;T &lt;b&gt;",
        "DON'T 1234 x_y",
        "tab\tand\n new  line",
        "é 🐕‍🦺 ①",
        "好，刺激！",
    ]
    wanted = reference(texts)
    tokens = clip(texts)
    padded = torch.nn.functional.pad(tokens.ids, (0, 77 - tokens.ids.shape[1]))
    assert [t for t, a, b in zip(texts, padded, wanted, strict=True) if not torch.equal(a, b)] == []
    assert torch.equal(tokens.ids.argmax(1), tokens.mask.sum(1) - 1)  # where CLIP pools


def test_clip_decodes_and_survives_pickling_and_saving(clip: Tokenizer, tmp_path: Path) -> None:
    text = "a photo of two dogs , it 's nice 🐕"
    assert clip.decode(clip([text]).ids[0]) == text
    clip.save(tmp_path)
    for again in (pickle.loads(pickle.dumps(clip)), Tokenizer.load(tmp_path)):
        assert torch.equal(again([text, "x", "“é”"]).ids, clip([text, "x", "“é”"]).ids)


def test_another_file_than_clips_is_refused(tmp_path: Path) -> None:
    (tmp_path / "merges.txt").write_text("#version\na b\n")
    with pytest.raises(DataError, match=r"merges\.txt: expected a first line to skip and 48894 pairs"):
        clip_bpe(tmp_path / "merges.txt")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"a b\n" * 1000)[:20])
    with pytest.raises(DataError, match=r"cut\.gz: damaged"):
        clip_bpe(tmp_path / "cut.gz")
    with pytest.raises(DataError, match=r"none\.gz: there is no such file"):
        clip_bpe(tmp_path / "none.gz")


def test_40000_captions_take_seconds(shared_data: Path) -> None:
    lines = (shared_data / "flickr8k" / "train.jsonl").read_text().splitlines()
    captions = [c for line in lines for c in json.loads(line)["captions"]]
    start = time.process_time()
    tokenizer = train_bpe(captions + captions[:10_000])
    assert time.process_time() - start < 15
    assert 7000 < tokenizer.vocab_size <= 8192
    lengths = tokenizer(captions[:2000]).mask.sum(1)
    assert lengths.float().mean() < 20 and lengths.max() <= 64
