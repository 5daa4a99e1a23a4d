"""Unmasking: a word of a caption is hidden, and what a language model puts in its place makes a false caption.

Doveh et al., "Teaching Structured Vision&Language Concepts to Vision&Language Models", 2022.

    caption with one word masked -> one of the five likeliest words of a masked language model, not the hidden one

Confirmed against the authors' code, which draws the hidden word from the caption's nouns, verbs, adjectives and
prepositions, and one of the fills.

In place of a tagger every word is eligible that is no article, pronoun, conjunction or auxiliary. Fills that are no
whole words, that a true text of the image has, or that are a form of the hidden word are passed over. A synonym may
still come through, so some negatives are true. Any fill-mask model of transformers, in the language of its captions;
remote code is never executed. All that one record needs goes through the model together.
Differs from `tsvlc` in needing no word lists and in exchanging any word.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any

import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer

from dovetail.catalogue import implements
from dovetail.contracts import Curator
from dovetail.data.falsehoods import english, true_texts, with_falsehoods
from dovetail.data.records import DataError, Record
from dovetail.data.rewording import exchanged
from dovetail.data.vocabulary import FUNCTION_WORDS
from dovetail.data.worlds.draws import Draws

WORD = re.compile(r"(?<![\w'-])[^\W\d_]{2,}(?![\w'-])")
STARTS = ("\u0120", "\u2581")  # how some tokenizers mark that a token begins a word
MOST = 16  # words of a caption that are tried

Place = tuple[str, int, int]
"""A text, and where in it a word starts and ends."""


@implements(Curator)
class Unmasking:
    """Adds negative captions in which a masked language model has put another word.

    Args:
        model: a folder or hub id of a fill-mask model, such as distilroberta-base.
        count: at most so many for each true caption.
        best: how many of the likeliest fills are considered.
        seed: another one draws other words.
    """

    requires = ()

    def __init__(self, model: str, count: int = 1, best: int = 5, seed: int = 0):
        self.model, self.count, self.best, self.seed = model, count, best, seed

    def __call__(self, records: Iterable[Record]) -> Iterator[Record]:
        """Each record with its negatives, one at a time."""
        for record in records:
            said = {w.lower() for text in true_texts(record) for w in WORD.findall(text)}
            places = [p for c in english(record) for p in self._places(c.text, record)]
            fills = {p: self._other(p, found, said) for p, found in zip(places, self._fills(places), strict=True)}
            yield with_falsehoods(record, self.count, ("unmasking", self.seed), partial(_falsehoods, fills))

    def _places(self, text: str, record: Record) -> list[Place]:
        """The words of a text that may be hidden, in a drawn order."""
        words = [m for m in WORD.finditer(text) if m[0].lower() not in FUNCTION_WORDS]
        drawn = Draws("unmasking", "words", self.seed, record.id, text).shuffled(words)
        return [(text, m.start(), m.end()) for m in drawn[:MOST]]

    @cached_property
    def _loaded(self) -> tuple[Any, Any, bool]:
        """Tokenizer, model, and whether its tokens mark the start of a word."""
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.model, trust_remote_code=False)
            model = AutoModelForMaskedLM.from_pretrained(self.model, trust_remote_code=False, use_safetensors=True)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{self.model} is no fill-mask model of transformers that can be opened: {error}"
            ) from error
        if tokenizer.mask_token is None:
            raise DataError(f"the tokenizer of {self.model} has no mask; name a fill-mask model, such as BERT")
        device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return tokenizer, model.eval().to(device or "cpu"), any(t.startswith(STARTS) for t in tokenizer.get_vocab())

    @torch.inference_mode()
    def _fills(self, places: Sequence[Place]) -> list[list[str]]:
        """The likeliest whole words for each place, the best first; none where the text is cut before it."""
        if not places:
            return []
        tokenizer, model, marked = self._loaded
        texts = [text[:start] + tokenizer.mask_token + text[end:] for text, start, end in places]
        longest = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", 512) - 2)
        tokens = tokenizer(texts, padding=True, truncation=True, max_length=longest, return_tensors="pt")
        logits = model(**tokens.to(model.device)).logits
        found = []
        for scores, ids in zip(logits, tokens["input_ids"], strict=True):
            hidden = (ids == tokenizer.mask_token_id).nonzero()
            best = scores[hidden[0, 0]].topk(min(self.best, scores.shape[-1])).indices.tolist() if len(hidden) else []
            pieces = tokenizer.convert_ids_to_tokens(best)
            whole = [p for p in pieces if (p.startswith(STARTS) if marked else not p.startswith("##"))]
            found.append([p.lstrip("".join(STARTS)) for p in whole])
        return found

    def _other(self, place: Place, fills: list[str], said: set[str]) -> list[str]:
        """The fills that may be false in a place."""
        text, start, end = place
        hidden = text[start:end].lower()
        return [w for w in fills if WORD.fullmatch(w) and w.lower() not in said and not _alike(w.lower(), hidden)]


def _falsehoods(fills: dict[Place, list[str]], text: str, draws: Draws) -> Iterator[str]:
    for place, words in fills.items():
        if place[0] == text and words:
            yield exchanged(*place, draws.pick(words))


def _alike(a: str, b: str) -> bool:
    """Whether one of two words looks like a form of the other: `run` and `running`, `dogs` and `dog`."""
    short, long = sorted((a, b), key=len)
    return long.startswith(short if len(short) < 5 else short[:-1]) and len(long) - len(short) <= 4
