"""LightCLIP: small towers learn from three levels at once: whole pairs, words with their patches, and hidden words.

Nie et al., "LightCLIP: Learning Multi-Level Interaction for Lightweight Vision-Language Models", 2023.

    L = L_pair + a L_match + b L_hidden
    L_pair: InfoNCE whose positives have the target 1 - e_p and whose n negatives share e_p,    e_p = e * progress
    L_match: of word l and its patch v_l,  -1/2 ( log softmax_k(s <v_l, t_k>)_l + log softmax_k(s <t_l, v_k>)_l )
    L_hidden: -log softmax(words)_l  at the hidden words, guessed by the text tower and blocks that look at the patches

Each word of a caption has one patch of its image, such that the cosines of all pairs sum to the most (the Hungarian
method), and a patch takes no more words than it must for all to have one. k runs over the words of the same caption;
s: the model's scale; both means are over all words of the batch, hard negative captions aside. Which words are hidden
is drawn anew with every step. The blocks, and the head that guesses, serve training alone.

The paper was read as far as its abstract, and no code of its authors is public. From there: the three levels, labels
softened progressively, a relaxed bipartite matching, and a fusion module for training that injects the image into the
masked text. Ours, for want of the text: a linear course of e_p and its end e; how the matching is relaxed, and words
told apart within their caption; all weights; 15 % hidden words. The authors fuse at several stages of the network;
here a tower is a closed box, and the blocks follow it.

Cost: a second pass of the text tower, and one assignment for each caption on the CPU. Differs from SPARC in that a
word has one patch of its own instead of a weighted mean of several. Evaluation compares the pooled vectors.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Features, Objective, PairLoss
from dovetail.models.contrasting import Encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.nn.fusion import Fusion
from dovetail.nn.mlm import Costs, WordHead, hidden_words, mean_of_words, without, words_of
from dovetail.ops.contrast import contrast
from dovetail.ops.features import wide
from dovetail.ops.grouping import assigned, told_apart
from dovetail.ops.smoothing import over_negatives, smoothing


class Levels(NamedTuple):
    """Pooled vectors, and the costs of both kinds of words."""

    pairs: Encoded
    matched: Costs
    hidden: Costs


@implements(Objective)
class LightCLIP(nn.Module):
    """InfoNCE with softened labels, words matched with patches, and masked language modelling with the image.

    Args:
        softness: what the negatives' targets sum to at the end of the training (e).
        match: weight of the matching (a).
        hidden: weight of the hidden words (b).
        rate: share of the words that are hidden.
        depth: blocks that look at the image.
    """

    requires = ()

    def __init__(
        self, softness: float = 0.1, match: float = 1.0, hidden: float = 1.0, rate: float = 0.15, depth: int = 2
    ):
        super().__init__()
        self.softness, self.match, self.hidden, self.rate, self.depth = softness, match, hidden, rate, depth
        self.loss = build("infonce", PairLoss)
        self.similarity = build("cosine")
        self.progress = 0.0

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Makes the blocks that look at the image, and the head that guesses words."""
        self.fusion = Fusion(model.text.token_width, model.embed_dim, self.depth)
        self.head = WordHead.of(model.text, model.tokenizer.vocab_size)

    def advance(self, model: DualEncoder, progress: float) -> None:
        """Labels grow softer, and other words are hidden."""
        self.progress = progress

    def encode(self, model: DualEncoder, batch: Batch) -> Levels:
        """Runs both towers, the text tower again with hidden words, and finds what words cost within their caption."""
        tokens, tokenizer = batch.captions.tokens, model.tokenizer
        images, texts = model.image_features(batch.images, tokens=True), model.text_features(tokens, tokens=True)
        assert images.tokens is not None and texts.tokens is not None
        patches = images.tokens[batch.captions.owner]
        hidden = hidden_words(tokens, tokenizer.special, self.rate, int(self.progress * 2**40))
        guessed = self.fusion(model.text(without(tokens, hidden, tokenizer.blank)).tokens, patches)
        pairs = Encoded(Features(images.pooled), Features(texts.pooled), model.scale, model.bias)
        matched = _matched(texts.tokens, patches, words_of(tokens, tokenizer.special), model.scale)
        return Levels(pairs, matched, self.head.costs(guessed, tokens, hidden))

    def terms(self, outputs: Levels, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The three levels, weighted."""
        pairs = outputs.pairs
        images, texts = sides(pairs, batch)
        whole = contrast(images, texts, self.similarity, self.loss, pairs.scale, pairs.bias)
        softer = self.softness * self.progress * smoothing(images, texts, pairs.scale, over_negatives)
        matched, hidden = (mean_of_words(costs, texts.weights) for costs in (outputs.matched, outputs.hidden))
        return {"contrastive": whole + softer, "matching": self.match * matched, "hidden words": self.hidden * hidden}


def _matched(
    words: Float[Tensor, "t l d"], patches: Float[Tensor, "t p d"], real: Bool[Tensor, "t l"], scale: Tensor
) -> Costs:
    with torch.autocast(words.device.type, enabled=False):
        words, patches = wide(words), wide(patches)
        costs = told_apart(assigned(words, patches, real), words, real, scale)
        return (costs * real).sum(1), real.sum(1)
