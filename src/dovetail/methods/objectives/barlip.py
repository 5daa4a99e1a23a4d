"""BarLIP: beside the contrast, every number of an image's projection says the same as its caption's, and no other.

Fini et al., "Improved baselines for vision-language pre-training", 2023.

    C = mean over pairs  u(x) v(y)^T,    L = L_CLIP + s ( sum_i (1 - C_ii)^2 + l sum_{i != j} C_ij^2 )

x, y: the towers' vectors of an image and a caption, before the maps into the shared space; u, v: projectors of three
layers, all normalised over the batch, so that C (e e) are correlations. As in Barlow Twins, but between image and
caption. Confirmed against the authors' code: the loss, s = 0.025, l = 0.005, projectors of 3000, 3000 and 8192 numbers.

Memory: C and its gradient. Differs from SiamLIP, whose words on the authors' recipe hold here, in comparing numbers.
"""

from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Objective, PairLoss
from dovetail.models.contrasting import Raised, raised, sides, true_pairs
from dovetail.models.dual_encoder import DualEncoder
from dovetail.nn.projector import OverBatch, perceptron
from dovetail.nn.repeatable import repeatable
from dovetail.ops.contrast import contrast
from dovetail.ops.distributed import gather, sum_over_processes
from dovetail.ops.features import wide


@implements(Objective)
class BarLIP(nn.Module):
    """A pair loss over images and captions, and one over the correlations of their projections.

    Args:
        weight: of the second term (s).
        apart: weight in it of what lies off the diagonal (l).
        inner: width of the projectors' hidden layers.
        width: how many numbers a projection has (e).
        loss: what one row of scores costs; None: InfoNCE, as in the paper.
    """

    requires = ()

    def __init__(
        self,
        weight: float = 0.025,
        apart: float = 0.005,
        inner: int = 3000,
        width: int = 8192,
        loss: PairLoss | None = None,
    ):
        super().__init__()
        self.weight, self.apart, self.inner, self.width = weight, apart, inner, width
        self.loss: PairLoss = loss or build("infonce", PairLoss)
        self.similarity = build("cosine")

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Makes the projectors."""
        with repeatable():
            made = [
                nn.Sequential(perceptron((tower.width, self.inner, self.inner, self.width)), OverBatch(self.width))
                for tower in (model.image, model.text)
            ]
        self.projectors = nn.ModuleList(made).to(model.log_scale)

    def encode(self, model: DualEncoder, batch: Batch) -> Raised:
        """Runs both towers."""
        return raised(model, batch)

    def terms(self, outputs: Raised, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """Both terms, weighted. The mean over processes is the value of the joined batch, and so are the gradients."""
        pairs = outputs.pairs
        apart = contrast(*sides(pairs, batch), self.similarity, self.loss, pairs.scale, pairs.bias)
        caption, image, weights = true_pairs(batch)
        with torch.autocast(batch.images.device.type, enabled=False):
            u, v = self.projectors[0](wide(outputs.images)), self.projectors[1](wide(outputs.texts)[caption])
            found = _correlations(u[image], v, weights.to(u.dtype))
            eye = torch.eye(self.width, dtype=torch.bool, device=u.device)
            costs = torch.where(eye, (1 - found).square(), self.apart * found.square())
        return {"contrastive": apart, "correlations": self.weight * costs.sum()}


def _correlations(
    a: Float[Tensor, "p e"], b: Float[Tensor, "p e"], weights: Float[Tensor, " p"]
) -> Float[Tensor, "e e"]:
    """The weighted mean of a b^T over the pairs of all processes, with gradients."""
    every = sum_over_processes(weights.sum()).clamp_min(torch.finfo(weights.dtype).tiny)
    return gather(((a * weights[:, None]).T @ b)[None] / every).sum(0)
