"""Unmasking with a small BERT whose likeliest words are known."""

from pathlib import Path

import pytest
import torch

from dovetail.contracts import Kind
from dovetail.data.records import Caption, DataError, Record
from dovetail.methods.curators.unmasking import Unmasking
from tests.language_models import byte_level_fill_mask, fill_mask


def _false(curator: Unmasking, *texts: str) -> list[str]:
    (found,) = curator([Record(Path("a.jpg"), tuple(map(Caption, texts)), "a", 1)])
    assert all(c.kind == Kind.NEGATIVE for c in found.captions[len(texts) :])
    return [c.text for c in found.captions[len(texts) :]]


def _model(folder: Path, *liked: str) -> str:
    return str(fill_mask(folder / "-".join(liked), liked))


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("a dog on the tree", {"a kite on the tree", "a dog kite the tree", "a dog on the kite"}),
        ("A dog", {"A kite"}),
        ("an apple and it is", {"a kite and it is"}),
        ("the kite", set()),
        ("it is the", set()),
        ("a T", set()),
    ],
)
def test_each_word_that_says_something_is_exchanged(tmp_path: Path, text: str, wanted: set[str]) -> None:
    found = _false(Unmasking(_model(tmp_path, "kite"), count=9, best=1), text)
    assert set(found) == wanted and len(found) == len(wanted)


def test_no_pieces_forms_or_words_that_are_true(tmp_path: Path) -> None:
    model = _model(tmp_path, "##s", ",", "the", "cat", "dog", "running", "run", "car")
    assert _false(Unmasking(model, 9, best=2), "dog") == []
    assert _false(Unmasking(model, 9, best=5), "dog", "a cat") == ["the", "a the"]
    found = {t for seed in range(20) for t in _false(Unmasking(model, 1, best=8, seed=seed), "Running")}
    assert found == {"The", "Cat", "Dog", "Car"}, "`run` is a form of the hidden word"


def test_one_a_caption_the_same_for_a_seed(tmp_path: Path) -> None:
    model, text = _model(tmp_path, "kite", "car", "cat"), "a man with a dog near the tree"
    first = _false(Unmasking(model), text)
    assert len(first) == 1 and _false(Unmasking(model), text) == first
    assert len({_false(Unmasking(model, seed=seed), text)[0] for seed in range(12)}) > 4


def test_fills_are_the_models_best(tmp_path: Path) -> None:
    """Batched with others, and as the model alone says."""
    curator = Unmasking(_model(tmp_path, "kite", "car"), best=4)
    tokenizer, model, marked = curator._loaded
    assert not marked
    texts = ("a dog", "the man near a red car, the old cat")
    places = [(texts[0], 2, 5), (texts[1], 4, 7), (texts[1], 32, 35)]
    for (text, start, end), found in zip(places, curator._fills(places), strict=True):
        ids = tokenizer(text[:start] + "[MASK]" + text[end:], return_tensors="pt")
        scores = model(**ids).logits[0, ids["input_ids"][0].tolist().index(tokenizer.mask_token_id)]
        best = tokenizer.convert_ids_to_tokens(torch.argsort(scores, descending=True)[:4].tolist())
        assert found == [word for word in best if word != "##s"]


def test_tokens_that_say_where_a_word_begins(tmp_path: Path) -> None:
    """Of a byte-level model a whole word is a token that begins one, and `s` is none."""
    model = str(byte_level_fill_mask(tmp_path / "roberta", ("s", "Ġkite", "Ġthe")))
    curator = Unmasking(model, count=9, best=2)
    assert curator._loaded[2]
    wanted = {"a kite on the tree", "a dog kite the tree", "a dog on the kite"}
    assert set(_false(curator, "a dog on the tree")) == wanted
    assert _false(Unmasking(model, 9, best=1), "a dog on the tree") == []


def test_what_lies_beyond_the_models_reach_is_left(tmp_path: Path) -> None:
    found = _false(Unmasking(_model(tmp_path, "kite"), count=99, best=1), "the " * 60 + "dog")
    assert found == []


def test_what_is_no_such_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no fill-mask model of transformers that can be opened"):
        _false(Unmasking(str(tmp_path)), "a dog")
