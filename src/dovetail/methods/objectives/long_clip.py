"""Long-CLIP: paragraphs are matched with all of an image's vector, short captions with its main components alone.

Zhang et al., "Long-CLIP: Unlocking the Long-Text Capability of CLIP", 2024.

    L = L(x, long) + w L(P(x), short),    P(x) = m + V V^T (x - m)

L: InfoNCE over the scale times the products; x: the unit vectors of the images, m their mean, V their first k principal
components; texts are unit vectors, P(x) is not made one again. Long texts are captions of kind LONG, short ones all
other true ones. What a short caption leaves out may then stay in the small components of the image's vector.

Training begins by stretching the positions of the text tower to `context` tokens (`long_clip_text`), unless the
model reads as many already. Draw several captions an image, so that both kinds are in a batch: an image asks nothing
of a kind that it has no caption of.

Confirmed against the authors' code: P with k = 32 and with gradients through V, that it is not normalised, w = 1, and
positions 21 to 248 that learn. There m and V are those of a process's part of the batch, here of the batch of all
processes, so that their number changes nothing. Not here: their label smoothing of 0.1, and their short texts cut from
the first sentence of the long one, which is a matter of the data.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements, lookup
from dovetail.contracts import Batch, Encoder, Features, Kind, Objective, PairLoss
from dovetail.data.records import DataError
from dovetail.models.contrasting import Encoded, encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.lora import has_lora
from dovetail.ops.contrast import contrast
from dovetail.ops.distributed import gather
from dovetail.ops.features import take, wide
from dovetail.ops.principal import reconstructed
from dovetail.ops.sides import Side
from dovetail.ops.similarity import normalize


class Product:
    """The products of vectors of any length."""

    symmetric, tokens = True, False

    def prepare(self, features: Features) -> Features:
        """The vectors as they are."""
        return Features(features.pooled)

    def scores(self, rows: Features, cols: Features) -> Float[Tensor, "r c"]:
        """All products."""
        return rows.pooled @ cols.pooled.T


@implements(Objective)
class LongClip(nn.Module):
    """A pair loss with long texts, and one of reconstructed images with short texts.

    Args:
        context: tokens that the text tower is lengthened to.
        kept: how many of its positions stay as they are.
        components: how many principal components reconstruct an image (k).
        short: weight of the second term (w).
        loss: what one row of scores costs; None: InfoNCE, as in the paper.
    """

    requires = ("long captions",)

    def __init__(
        self,
        context: int = 248,
        kept: int = 20,
        components: int = 32,
        short: float = 1.0,
        loss: PairLoss | None = None,
    ):
        super().__init__()
        self.context, self.kept, self.components, self.short = context, kept, components, short
        self.loss: PairLoss = loss or build("infonce", PairLoss)

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Lengthens the text tower. Raises DataError for one without learnt positions, or with low-rank maps."""
        if model.tokenizer.context < self.context:
            if has_lora(model):
                raise DataError("long_clip cannot lengthen a tower with low-rank maps; give another --tune than lora")
            model.text = lookup("long_clip_text", Encoder).make(model.text, self.context, self.kept)
            model.tokenizer = model.tokenizer.with_context(self.context)

    def encode(self, model: DualEncoder, batch: Batch) -> Encoded:
        """Runs both towers; long and short texts go through the text tower together."""
        return encoded(model, batch, tokens=False)

    def terms(self, outputs: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """Both terms, weighted."""
        with torch.autocast(batch.images.device.type, enabled=False):
            x, y = (normalize(wide(f.pooled)) for f in (outputs.images, outputs.texts))
            main = reconstructed(x, gather(x), self.components)
        long = batch.captions.kind == Kind.LONG
        whole = self._term(replace(outputs, images=Features(x), texts=Features(y)), batch, long)
        short = self._term(replace(outputs, images=Features(main), texts=Features(y)), batch, ~long)
        return {"long": whole, "short": self.short * short}

    def _term(self, outputs: Encoded, batch: Batch, which: Bool[Tensor, " t"]) -> Float[Tensor, ""]:
        """The loss with some of the texts. Images that none of them is true of are columns only."""
        images, texts = sides(outputs, batch)
        at, true = which.nonzero()[:, 0], which & (batch.captions.kind != Kind.NEGATIVE)
        told = torch.zeros_like(images.weights)
        told[batch.captions.owner[true]] = 1.0
        rows = replace(images, weights=images.weights * told)
        columns = Side(take(texts.features, at), texts.ids[at], texts.weights[at])
        return contrast(rows, columns, Product(), self.loss, outputs.scale, outputs.bias)
