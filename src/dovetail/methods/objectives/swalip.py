"""SwALIP: beside the contrast, an image foretells to which prototypes its caption belongs, and the other way round.

Fini et al., "Improved baselines for vision-language pre-training", 2023.

    s(x) = <unit(u(x)), unit(w_k)>  for K shared prototypes w_k;    Q = the scores of all images shared out evenly
    L = L_CLIP - w mean over pairs  sum_k ( Q(y)_k log softmax(s(x) / T)_k + Q(x)_k log softmax(s(y) / T)_k ) / 2

x, y: the towers' vectors of an image and a caption, before the maps into the shared space; u: a projector for each
side; Q: the assignments of Sinkhorn and Knopp over the batch of all processes (`ops.transport`), without gradients. As
in SwAV, but between image and caption. Confirmed against the first of two forms in the authors' code: the loss, w =
0.2, T = 0.1, three rounds at 0.05, projectors of 2048 and 128 numbers, 3000 prototypes. They hold the prototypes fixed
for the first 100 steps, which is not done here; their second form shares out one view's batch instead of prototypes.

Differs from SiamLIP in foretelling an assignment instead of a vector. What is said there of the authors' recipe holds
here as well.
"""

from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Objective, PairLoss
from dovetail.models.contrasting import Raised, raised, sides, true_pairs
from dovetail.models.dual_encoder import DualEncoder
from dovetail.nn.projector import perceptron
from dovetail.nn.repeatable import repeatable
from dovetail.ops.contrast import contrast
from dovetail.ops.features import wide
from dovetail.ops.means import weighted_mean
from dovetail.ops.similarity import cosine
from dovetail.ops.transport import shared_out


@implements(Objective)
class SwALIP(nn.Module):
    """A pair loss over images and captions that also foretell one another's assignment to prototypes.

    Args:
        weight: of the second term (w).
        temperature: of what is foretold (T).
        prototypes: how many there are (K).
        inner: width of the projectors' hidden layer.
        width: how many numbers a projection has.
        loss: what one row of scores costs; None: InfoNCE, as in the paper.
    """

    requires = ()

    def __init__(
        self,
        weight: float = 0.2,
        temperature: float = 0.1,
        prototypes: int = 3000,
        inner: int = 2048,
        width: int = 128,
        loss: PairLoss | None = None,
    ):
        super().__init__()
        self.weight, self.temperature, self.prototypes = weight, temperature, prototypes
        self.inner, self.width = inner, width
        self.loss: PairLoss = loss or build("infonce", PairLoss)
        self.similarity = build("cosine")

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Makes the projectors and the prototypes."""
        with repeatable():
            made = [perceptron((tower.width, self.inner, self.width)) for tower in (model.image, model.text)]
            places = torch.randn(self.prototypes, self.width)
        self.projectors = nn.ModuleList(made).to(model.log_scale)
        self.places = nn.Parameter(places.to(model.log_scale))

    def encode(self, model: DualEncoder, batch: Batch) -> Raised:
        """Runs both towers."""
        return raised(model, batch)

    def terms(self, outputs: Raised, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """Both terms, weighted. The mean over processes is the value of the joined batch, and so are the gradients."""
        pairs = outputs.pairs
        apart = contrast(*sides(pairs, batch), self.similarity, self.loss, pairs.scale, pairs.bias)
        caption, image, weights = true_pairs(batch)
        with torch.autocast(batch.images.device.type, enabled=False):
            x = cosine(self.projectors[0](wide(outputs.images)), self.places)[image]
            y = cosine(self.projectors[1](wide(outputs.texts)[caption]), self.places)
            costs = (self._foretold(x, shared_out(y)) + self._foretold(y, shared_out(x))) / 2
            swapped = weighted_mean(costs, weights.to(costs.dtype))
        return {"contrastive": apart, "assignments": self.weight * swapped}

    def _foretold(self, scores: Float[Tensor, "p k"], true: Float[Tensor, "p k"]) -> Float[Tensor, " p"]:
        return -(true * (scores / self.temperature).log_softmax(1)).sum(1)
