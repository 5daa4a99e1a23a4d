"""CountCLIP: beside finding its caption, a picture that is counted must tell it from the same with another number.

Paiss et al., "Teaching CLIP to Count to Ten", 2023.

    L = L_contrastive + lambda L_count
    L_count = - mean_k  log  exp(<x_k, y_k>) / (exp(<x_k, y_k>) + exp(<x_k, y'_k>))                (section 3.2)

k: the images that have a counterfactual caption y'; x, y: unit embeddings. `dovetail curate countclip` writes the
counterfactuals, as captions of kind NEGATIVE. They take no part in L_contrastive.

The authors published no code. Two public re-implementations and the report of one of them agree on all of the above and
on lambda = 1, and multiply by no temperature, as the formula is printed; whether the authors did could not be
confirmed. `scale` sets such a factor. The paper fine-tunes a trained CLIP, with a thirty-second of a batch counted.

Several false captions of an image share its sum, of several true ones each is asked and the mean counts.
Differs from `negclip` in that a false caption competes with the true ones of its own image alone, by two.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Kind, Objective, PairLoss
from dovetail.models.contrasting import Encoded, encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.ops.contrast import contrast
from dovetail.ops.falsehoods import against_own
from dovetail.ops.features import wide
from dovetail.ops.means import weighted_mean
from dovetail.ops.similarity import normalize


@implements(Objective)
class CountCLIP(nn.Module):
    """A pair loss over true captions, and each image's choice between its true captions and its false ones.

    Args:
        weight: of the second term (lambda).
        scale: what its similarities are multiplied by; None: the model's own learnt scale.
        loss: what one row of scores costs in the first term; None: InfoNCE, as in the paper.
    """

    requires = ("negative captions",)

    def __init__(self, weight: float = 1.0, scale: float | None = 1.0, loss: PairLoss | None = None):
        super().__init__()
        self.weight, self.scale = weight, scale
        self.loss: PairLoss = loss or build("infonce", PairLoss)
        self.similarity = build("cosine")

    def encode(self, model: DualEncoder, batch: Batch) -> Encoded:
        """Runs both towers; the false captions go through the text tower with the true ones."""
        return encoded(model, batch, tokens=False)

    def terms(self, outputs: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """Both terms, weighted. The mean over processes is the value of the joined batch, and so are the gradients."""
        images, texts = sides(outputs, batch)
        owner, false = batch.captions.owner, batch.captions.kind == Kind.NEGATIVE
        whole = contrast(images, texts.only(~false), self.similarity, self.loss, outputs.scale, outputs.bias)
        with torch.autocast(batch.images.device.type, enabled=False):
            x, y = (normalize(wide(side.features.pooled)) for side in (images, texts))
            scale = outputs.scale if self.scale is None else self.scale
            costs, known = against_own(scale * (x[owner] * y).sum(1), owner, false, len(x))
            count = weighted_mean(costs, images.weights.to(costs.dtype) * known)
        return {"contrastive": whole, "count": self.weight * count}
