"""ALIP: a machine describes every image too, and where its words and those of the web disagree, both count less.

Yang et al., "ALIP: Adaptive Language-Image Pre-training with Synthetic Caption", 2023.

    L = L(image, raw text) + L(image, synthetic caption)
    L(x, y) = mean_i  W_i V_i (l_i(x -> y) + l_i(y -> x)) / 2,    l: InfoNCE, each path with its own texts alone
    W_i = min(1, exp(g (<raw_i, synthetic_i> - m)))                                       language consistency gate
    V_i = exp(g (<x_i, y_i> - m_y)) where W_i < 1, else 1                                 description consistency gate

All vectors are of unit length; m, m_raw and m_synthetic are running means of these similarities over the batches of all
processes: m <- 0.99 m + 0.01 mean, from 1, in training alone, before they are used. No gradient flows through a weight.
Confirmed against the authors' code, where g = 2 is a square, all of the above; V may exceed 1 there, too.

With several texts of a path an image's similarity of raw and synthetic is the mean over their pairs, each text has its
own V, and an image as a row their mean. An image without texts of one path takes no part in it and has W = 1, so that
without any synthetic caption this is `contrastive` with InfoNCE. Synthetic captions are those of kind SYNTHETIC; the
paper's are one an image, by OFA. A step must see both texts of an image: `--captions_per_image` as many as it has, at
least. Hard negative captions are columns of the raw path.
Differs from `contrastive` in the weights and in that raw and synthetic texts never meet as columns of one row.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Kind, Objective, PairLoss
from dovetail.models.contrasting import Encoded, encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.ops.contrast import contrast
from dovetail.ops.distributed import sum_over_processes
from dovetail.ops.features import take, wide
from dovetail.ops.sides import Side
from dovetail.ops.similarity import normalize

LANGUAGE, RAW, SYNTHETIC = range(3)  # places of the running means


@implements(Objective)
class ALIP(nn.Module):
    """InfoNCE with raw and with synthetic texts, weighted by how well text, caption and image agree.

    Args:
        sharpness: how fast a weight falls with the similarity.
        momentum: what is kept of a running mean with every batch.
    """

    requires = ("synthetic captions",)
    means: Tensor

    def __init__(self, sharpness: float = 2.0, momentum: float = 0.99):
        super().__init__()
        self.sharpness, self.momentum = sharpness, momentum
        self.loss = build("infonce", PairLoss)
        self.similarity = build("cosine")
        self.register_buffer("means", torch.ones(3))

    def encode(self, model: DualEncoder, batch: Batch) -> Encoded:
        """Runs both towers; raw and synthetic texts go through the text tower together."""
        return encoded(model, batch, tokens=False)

    def terms(self, outputs: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """Both paths. In training the running means take in the batch."""
        synthetic, negative = (batch.captions.kind == k for k in (Kind.SYNTHETIC, Kind.NEGATIVE))
        raw, owner = ~synthetic & ~negative, batch.captions.owner
        with torch.no_grad(), torch.autocast(batch.images.device.type, enabled=False):
            x, y = (normalize(wide(f.pooled)) for f in (outputs.images, outputs.texts))
            (a, some), (c, others) = (_means(y, owner, which, len(x)) for which in (raw, synthetic))
            language = self._gate(LANGUAGE, (a * c).sum(1), some & others)
            pairs = (x[owner] * y).sum(1)
            gates = {RAW: self._gate(RAW, pairs, raw), SYNTHETIC: self._gate(SYNTHETIC, pairs, synthetic)}
            doubted = (language < 1)[owner]
            weights = {k: torch.where(doubted, gate, 1.0) * language.clamp_max(1)[owner] for k, gate in gates.items()}
        images, texts = sides(outputs, batch)
        first = self._path(images, _part(texts, weights[RAW], ~synthetic), weights[RAW], owner, raw, outputs)
        columns = _part(texts, weights[SYNTHETIC], synthetic)
        second = self._path(images, columns, weights[SYNTHETIC], owner, synthetic, outputs)
        return {"raw": first, "synthetic": second}

    @torch.no_grad()
    def _gate(self, which: int, similarity: Float[Tensor, " n"], known: Bool[Tensor, " n"]) -> Float[Tensor, " n"]:
        """exp(g (similarity - running mean)); 1 where there is no similarity."""
        if self.training:
            total, count = (sum_over_processes((v * known).sum()) for v in (similarity, torch.ones_like(similarity)))
            mean = torch.where(count > 0, total / count.clamp_min(1), self.means[which])
            self.means[which] = (1 - self.momentum) * mean + self.momentum * self.means[which]
        return torch.where(known, (self.sharpness * (similarity - self.means[which])).exp(), 1.0)

    def _path(
        self,
        images: Side,
        texts: Side,
        weights: Float[Tensor, " t"],
        owner: Int[Tensor, " t"],
        which: Bool[Tensor, " t"],
        outputs: Encoded,
    ) -> Float[Tensor, ""]:
        """The engine's weighted mean, times the mean of the weights."""
        found, some = _means(weights[:, None], owner, which, len(images.ids))
        base = images.weights * some
        rows = replace(images, weights=base * found[:, 0])
        every = sum_over_processes(base.sum()).clamp_min(torch.finfo(base.dtype).tiny)
        mean = sum_over_processes(rows.weights.sum()) / every
        return mean * contrast(rows, texts, self.similarity, self.loss, outputs.scale, outputs.bias)


def _means(
    values: Float[Tensor, "t d"], owner: Int[Tensor, " t"], which: Bool[Tensor, " t"], b: int
) -> tuple[Float[Tensor, "b d"], Bool[Tensor, " b"]]:
    """The mean of some texts' values for each image, and whether it has such texts."""
    total = values.new_zeros(b, values.shape[1]).index_add(0, owner, values * which[:, None])
    count = values.new_zeros(b).index_add(0, owner, which.to(values.dtype))
    return total / count.clamp_min(1)[:, None], count > 0


def _part(texts: Side, weights: Float[Tensor, " t"], columns: Bool[Tensor, " t"]) -> Side:
    """Some of the texts; as rows they count by `weights`."""
    at = columns.nonzero()[:, 0]
    return Side(take(texts.features, at), texts.ids[at], (texts.weights * weights)[at])
