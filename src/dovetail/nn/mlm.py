"""Masked language modelling: some words of a text are hidden, and guessed from the others and what else is known.

Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", 2019.

    L = mean over hidden words  -log softmax(W Norm(GELU(V h_l)))_{w_l},    h_l: what the tower says at place l

Which words are hidden is drawn from the text itself and a salt, by a hash: the same in every process, in every piece of
a batch and in every order of it. Another salt draws anew. All words of a text are equally likely, and one at least is
hidden. Differs from the paper in that a hidden word is always replaced by the blank: none is left or exchanged.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from dovetail.contracts import Tokens
from dovetail.ops.draws import mixed
from dovetail.ops.features import wide
from dovetail.ops.means import weighted_mean

# Odd numbers of 63 bits; products wrap around.
_FACTORS = (0x1E3779B97F4A7C15, 0x3F58476D1CE4E5B9, 0x14D049BB133111EB, 0x2545F4914F6CDD1D)


def words_of(tokens: Tokens, special: Sequence[int]) -> Bool[Tensor, "t l"]:
    """Which tokens are words, or parts of one: all that are real but the ids in `special`."""
    return tokens.mask & ~torch.isin(tokens.ids, torch.tensor(list(special), device=tokens.ids.device))


def hidden_words(
    tokens: Tokens, special: Sequence[int], rate: float, salt: int, among: Bool[Tensor, "t l"] | None = None
) -> Bool[Tensor, "t l"]:
    """Which words are hidden: each with the probability `rate`, and one at least where there is one.

    special: ids that are no words. among: the words to choose from, in texts that have such; None: all.
    """
    words = words_of(tokens, special)
    if among is not None:
        some = words & among
        words = torch.where(some.any(1, keepdim=True), some, words)
    draws = _draws(tokens, salt).masked_fill(~words, 2.0)
    return words & (draws <= draws.amin(1, keepdim=True).clamp_min(rate))


def without(tokens: Tokens, hidden: Bool[Tensor, "t l"], blank: int) -> Tokens:
    """The texts with the id `blank` in the place of hidden words."""
    return replace(tokens, ids=tokens.ids.masked_fill(hidden, blank))


Costs = tuple[Float[Tensor, " t"], Int[Tensor, " t"]]
"""What some words of each text cost together, and how many they are."""


class WordHead(nn.Module):
    """Scores of all words at a place, from what a tower says there.

    Args:
        width: length of the tower's vectors.
        words: number of ids.
    """

    def __init__(self, width: int, words: int):
        super().__init__()
        self.inner, self.norm, self.out = nn.Linear(width, width), nn.LayerNorm(width), nn.Linear(width, words)

    @classmethod
    def of(cls, text: Any, ids: int) -> Self:
        """For a text tower and a tokenizer of so many ids; a tower may know more."""
        return cls(text.token_width, max(ids, getattr(text, "vocabulary", 0)))

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n v"]:
        scores: Tensor = self.out(self.norm(F.gelu(self.inner(x))))
        return scores

    def costs(self, states: Float[Tensor, "t l d"], tokens: Tokens, hidden: Bool[Tensor, "t l"]) -> Costs:
        """What guessing the hidden words costs. tokens: with the true ids."""
        text, place = hidden.nonzero(as_tuple=True)
        scores = wide(self(states[text, place]))
        each = F.cross_entropy(scores, tokens.ids[text, place], reduction="none")
        return each.new_zeros(len(hidden)).index_add(0, text, each), hidden.sum(1)


def mean_of_words(costs: Costs, weights: Float[Tensor, " t"]) -> Float[Tensor, ""]:
    """The mean over the words of all processes, each of which counts as its text does; see `weighted_mean`."""
    total, count = costs
    return weighted_mean(total / count.clamp_min(1), weights.to(total.dtype) * count)


def _draws(tokens: Tokens, salt: int) -> Float[Tensor, "t l"]:
    """A number from 0 to 1 for each place, evenly spread, that depends on the text, the place and the salt alone."""
    a, b, c, d = _FACTORS
    place = torch.arange(tokens.ids.shape[1], device=tokens.ids.device)
    text = (mixed(tokens.ids * a + place * b) * tokens.mask).sum(1, keepdim=True)
    added = torch.tensor(salt, device=place.device) * d
    return (mixed(mixed(text + place * c) + added) >> 10 & (1 << 53) - 1).double() * 2.0**-53
