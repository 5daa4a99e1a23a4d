"""SiamLIP: beside the contrast, each side of a pair predicts the other's projection, with no negatives at all.

Fini et al., "Improved baselines for vision-language pre-training", 2023.

    L = L_CLIP + w mean over pairs  ( |unit(p(x)) - sg unit(v(y))|^2 + |unit(q(y)) - sg unit(u(x))|^2 ) / 2

x, y: the towers' vectors of an image and a caption, before the maps into the shared space; u, v: their projectors; p,
q: predictors on top of these; sg: no gradient. As in SimSiam, but between image and caption. Confirmed against the
authors' code: the loss and its weight of 1, two-layer heads of 2048 and 128 numbers, normalised over the batch.

The authors train it, and CLIP beside it, with weakly and strongly augmented views of image and caption, label smoothing
and dropout, and find that plain CLIP with the same recipe is as good: here augmentation is the recipe's (`--augment`),
the same for any objective, and there is one view. Differs from BYOLIP in having no teacher. The heads are the
objective's and are not kept with the model.
"""

from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Objective, PairLoss
from dovetail.models.contrasting import Raised, raised, sides, true_pairs
from dovetail.models.dual_encoder import DualEncoder
from dovetail.nn.prediction import Predicting, mistaken
from dovetail.nn.repeatable import repeatable
from dovetail.ops.contrast import contrast
from dovetail.ops.features import wide
from dovetail.ops.means import weighted_mean


@implements(Objective)
class SiamLIP(nn.Module):
    """A pair loss over images and captions that also predict one another.

    Args:
        weight: of the predictions (w).
        inner: width of the heads' hidden layers.
        width: how many numbers a projection has.
        loss: what one row of scores costs; None: InfoNCE, as in the paper.
    """

    requires = ()

    def __init__(self, weight: float = 1.0, inner: int = 2048, width: int = 128, loss: PairLoss | None = None):
        super().__init__()
        self.weight, self.inner, self.width = weight, inner, width
        self.loss: PairLoss = loss or build("infonce", PairLoss)
        self.similarity = build("cosine")

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Makes the heads."""
        with repeatable():
            heads = [Predicting(tower.width, self.inner, self.width) for tower in (model.image, model.text)]
        self.heads = nn.ModuleList(heads).to(model.log_scale)

    def encode(self, model: DualEncoder, batch: Batch) -> Raised:
        """Runs both towers."""
        return raised(model, batch)

    def terms(self, outputs: Raised, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """Both terms, weighted. The mean over processes is the value of the joined batch, and so are the gradients."""
        pairs = outputs.pairs
        apart = contrast(*sides(pairs, batch), self.similarity, self.loss, pairs.scale, pairs.bias)
        caption, image, weights = true_pairs(batch)
        with torch.autocast(batch.images.device.type, enabled=False):
            u, p = self.heads[0](wide(outputs.images))
            v, q = self.heads[1](wide(outputs.texts)[caption])
            costs = (mistaken(p[image], v) + mistaken(q, u[image])) / 2
            predicted = weighted_mean(costs, weights.to(costs.dtype))
        return {"contrastive": apart, "predictions": self.weight * predicted}
