"""BYOLIP: beside the contrast, each side of a pair predicts what a slowly trailing teacher makes of the other.

Fini et al., "Improved baselines for vision-language pre-training", 2023.

    L = L_CLIP + w mean over pairs  ( |unit(p(x)) - unit(v'(y'))|^2 + |unit(q(y)) - unit(u'(x'))|^2 ) / 2

x, y: the towers' vectors of an image and a caption, before the maps into the shared space; u, v: projectors; p, q:
predictors on top of these; a prime marks what the teacher makes of it: towers and projectors whose weights are a
running mean of the pupil's, t <- d t + (1 - d) p. As in BYOL, but between image and caption. Confirmed against the
authors' code: the loss and its weight of 1, heads as in `siamlip`. Not confirmed: d, here from 0.996 up to 1 as in
BYOL.

Differs from SiamLIP in the teacher, which costs another forward pass of both towers. What is said there of the authors'
recipe holds here as well.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Objective, PairLoss
from dovetail.models.contrasting import Raised, raised, sides, true_pairs
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.pixels import normalised
from dovetail.nn.prediction import Predicting, mistaken
from dovetail.nn.repeatable import repeatable
from dovetail.nn.trailing import Trailing, slowing
from dovetail.ops.contrast import contrast
from dovetail.ops.features import wide
from dovetail.ops.means import weighted_mean


@dataclass(frozen=True)
class Taught:
    """What the pupil makes of a batch, and what the teacher's towers make of it."""

    pupil: Raised
    images: Float[Tensor, "b d"]
    texts: Float[Tensor, "t e"]


@implements(Objective)
class BYOLIP(nn.Module):
    """A pair loss over images and captions that also predict a teacher's view of one another.

    Args:
        weight: of the predictions (w).
        inner: width of the heads' hidden layers.
        width: how many numbers a projection has.
        decay: how slowly the teacher follows at the start (d).
        loss: what one row of scores costs; None: InfoNCE, as in the paper.
    """

    requires = ()

    def __init__(
        self,
        weight: float = 1.0,
        inner: int = 2048,
        width: int = 128,
        decay: float = 0.996,
        loss: PairLoss | None = None,
    ):
        super().__init__()
        self.weight, self.inner, self.width, self.decay = weight, inner, width, decay
        self.loss: PairLoss = loss or build("infonce", PairLoss)
        self.similarity = build("cosine")

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Makes the heads and the teacher."""
        towers = nn.ModuleList([model.get_submodule(side) for side in ("image", "text")])
        with repeatable():
            heads = [Predicting(tower.width, self.inner, self.width) for tower in (model.image, model.text)]
        self.heads = nn.ModuleList(heads).to(model.log_scale)
        self.towers = Trailing(towers)
        self.projectors = Trailing(nn.ModuleList([head.projector for head in heads]))

    def advance(self, model: DualEncoder, progress: float) -> None:
        """A step of the teacher."""
        decay = slowing(self.decay, progress)
        self.towers.follow(nn.ModuleList([model.get_submodule(side) for side in ("image", "text")]), decay)
        self.projectors.follow(nn.ModuleList([head.get_submodule("projector") for head in self.heads]), decay)

    def encode(self, model: DualEncoder, batch: Batch) -> Taught:
        """Runs both towers, and the teacher's."""
        towers: Any = self.towers.module
        with torch.no_grad():
            x, y = towers[0](normalised(model, batch.images)).pooled, towers[1](batch.captions.tokens).pooled
        return Taught(raised(model, batch), x, y)

    def terms(self, outputs: Taught, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """Both terms, weighted. The mean over processes is the value of the joined batch, and so are the gradients."""
        pupil, pairs = outputs.pupil, outputs.pupil.pairs
        apart = contrast(*sides(pairs, batch), self.similarity, self.loss, pairs.scale, pairs.bias)
        caption, image, weights = true_pairs(batch)
        teachers: Any = self.projectors.module
        with torch.autocast(batch.images.device.type, enabled=False):
            p, q = self.heads[0](wide(pupil.images))[1], self.heads[1](wide(pupil.texts)[caption])[1]
            with torch.no_grad():
                u, v = teachers[0](wide(outputs.images)), teachers[1](wide(outputs.texts)[caption])
            costs = (mistaken(p[image], v) + mistaken(q, u[image])) / 2
            predicted = weighted_mean(costs, weights.to(costs.dtype))
        return {"contrastive": apart, "predictions": self.weight * predicted}
