"""TSVLC: an image must also tell its caption from its own false ones, and a paraphrase must be as near as the caption.

Doveh et al., "Teaching Structured Vision&Language Concepts to Vision&Language Models", 2022.

    L = L_contrastive + a L_negatives + b L_analogy
    L_negatives = - mean_i  log  exp(t <x_i, y_i>) / (exp(t <x_i, y_i>) + sum_k exp(t <x_i, n_ik>))
    L_analogy   = (C(x, p) + C(y, p)) / 2,     C(u, p) = - mean_i  log softmax_j(t <u_i, p_j>)_i

x: images, y: their captions, n: the false captions of an image, p: its paraphrases; i in L_negatives: the images that
have false captions. Confirmed against the authors' code: a = b = 1, the model's scale t in all of it, false captions
are columns of the contrastive loss too, as in `negclip`, and both C ask in one direction. Further terms that the code
has, switched off, are not here. Their training is `--tune lora`.

False captions are of kind NEGATIVE: `dovetail curate tsvlc` and `unmasking` make them, by rule and by language model.
Paraphrases are captions of kind SYNTHETIC of images that have others too; the paper lets a language model write them.
Images without take no part in L_analogy. Several captions of an image are all its positives.
Differs from `negclip` in the two further losses: with b = 0, in that each image pays once more for its own false ones.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Kind, Objective, PairLoss
from dovetail.models.contrasting import Encoded, encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.ops.contrast import contrast
from dovetail.ops.falsehoods import against_own
from dovetail.ops.features import wide
from dovetail.ops.means import weighted_mean
from dovetail.ops.sides import Side
from dovetail.ops.similarity import normalize


@implements(Objective)
class TSVLC(nn.Module):
    """A pair loss over true and false captions, each image's choice among its own, and paraphrases.

    Args:
        negatives: weight of the second term (a).
        analogy: weight of the third (b).
        loss: what one row of scores costs in the first and third; None: InfoNCE, as in the paper.
    """

    requires = ("negative captions",)

    def __init__(self, negatives: float = 1.0, analogy: float = 1.0, loss: PairLoss | None = None):
        super().__init__()
        self.negatives, self.analogy = negatives, analogy
        self.loss: PairLoss = loss or build("infonce", PairLoss)
        self.similarity = build("cosine")

    def encode(self, model: DualEncoder, batch: Batch) -> Encoded:
        """Runs both towers; false captions and paraphrases go through the text tower with the others."""
        return encoded(model, batch, tokens=False)

    def terms(self, outputs: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The three terms, weighted. The mean over processes is the value of the joined batch, gradients too."""
        images, texts = sides(outputs, batch)
        owner, kind = batch.captions.owner, batch.captions.kind
        false, written = kind == Kind.NEGATIVE, kind == Kind.SYNTHETIC
        again = written & _having(owner, ~false & ~written, images)[owner]
        whole = contrast(images, texts.only(~again), self.similarity, self.loss, outputs.scale, outputs.bias)
        with torch.autocast(batch.images.device.type, enabled=False):
            x, y = (normalize(wide(side.features.pooled)) for side in (images, texts))
            scores = (outputs.scale * (x[owner] * y).sum(1))[~again]
            costs, known = against_own(scores, owner[~again], false[~again], len(x))
            choice = weighted_mean(costs, images.weights.to(costs.dtype) * known)
        has = _having(owner, again, images)
        asked = replace(texts.only(again), weights=texts.weights[again] * 0)
        rows = (replace(images, weights=images.weights * has), _weighed(texts, has[owner]).only(~again & ~false))
        halves = [contrast(r, asked, self.similarity, self.loss, outputs.scale, outputs.bias) for r in rows]
        analogy = halves[0] + halves[1]  # of either C, for nothing is asked back
        return {"contrastive": whole, "negatives": self.negatives * choice, "analogy": self.analogy * analogy}


def _having(owner: Tensor, which: Bool[Tensor, " t"], images: Side) -> Bool[Tensor, " b"]:
    """Which images have such texts."""
    return torch.zeros_like(images.ids, dtype=torch.bool).index_fill(0, owner[which], True)


def _weighed(texts: Side, kept: Bool[Tensor, " t"]) -> Side:
    return replace(texts, weights=texts.weights * kept)
