"""MERU: a contrast in hyperbolic space, in which each caption also opens a cone that its image must lie in.

Desai et al., "Hyperbolic Image-Text Representations", 2023.

    L = L_contrastive + w L_entail
    L_contrastive: InfoNCE over t s(x, y), s the negative Lorentzian distance (`lorentz`)
    L_entail = mean over pairs  max(0, ext(y, x) - aper(y))
    aper(y) = arcsin( 2 K / |y| )                                  half the width of the cone of caption y
    ext(y, x) = arccos( (x_0 + y_0 u) / (|y| sqrt(u^2 - 1)) ),  u = <x, y>_L      the angle at y from the ray

x, y: an image and a caption as `lorentz` prepares them, on the hyperboloid times sqrt(c), where curvature drops out of
both angles; x_0, y_0: their time coordinates, |y| the length of the others. A caption is more general than its image
(`a dog`), so it lies nearer to the root and the image behind it. Confirmed against the authors' code: the formulas,
w = 0.2, K = 0.1, and the scale of InfoNCE. Hard negative captions take no part in the second term.

Differs from `contrastive(similarity=lorentz)` in the second term. The authors' sin-cos position embedding is the
tower's affair, and traversals from an image towards the root are not here.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Features, Objective, PairLoss, Similarity
from dovetail.models.contrasting import Encoded, encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.ops.contrast import contrast
from dovetail.ops.features import wide
from dovetail.ops.means import weighted_mean


def exterior_angle(apex: Float[Tensor, "n d"], x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """The angle at `apex` between the ray from the root and the way to x, of prepared points; 0 for an x behind it."""
    eps = 4 * torch.finfo(x.dtype).eps
    u = (apex[:, :-1] * x[:, :-1]).sum(1) - apex[:, -1] * x[:, -1]
    far = apex[:, :-1].norm(dim=1) * (u.square() - 1).clamp_min(eps).sqrt()
    cosine = (x[:, -1] + apex[:, -1] * u) / far.clamp_min(eps)
    return cosine.clamp(eps - 1, 1 - eps).acos()


def half_aperture(apex: Float[Tensor, "n d"], radius: float) -> Float[Tensor, " n"]:
    """Half the angle that the cone of each prepared point opens to; a right angle where it is within 2 radii."""
    eps = 4 * torch.finfo(apex.dtype).eps
    return (2 * radius / apex[:, :-1].norm(dim=1).clamp_min(eps)).clamp_max(1 - eps).asin()


@implements(Objective)
class MERU(nn.Module):
    """A pair loss over Lorentzian distances, and cones of captions.

    Args:
        entailment: weight of the second term (w).
        radius: how near the root a cone has no meaning (K).
        loss: what one row of scores costs; None: InfoNCE, as in the paper.
    """

    requires = ()

    def __init__(self, entailment: float = 0.2, radius: float = 0.1, loss: PairLoss | None = None):
        super().__init__()
        self.entailment, self.radius = entailment, radius
        self.loss: PairLoss = loss or build("infonce", PairLoss)
        self.similarity: Similarity = build("lorentz", Similarity)

    def encode(self, model: DualEncoder, batch: Batch) -> Encoded:
        """Runs both towers."""
        return encoded(model, batch, tokens=False)

    def terms(self, outputs: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """Both terms, weighted. The mean over processes is the value of the joined batch, and so are the gradients."""
        images, texts = sides(outputs, batch)
        apart = contrast(images, texts, self.similarity, self.loss, outputs.scale, outputs.bias)
        with torch.autocast(batch.images.device.type, enabled=False):
            x, y = (self._points(side.features) for side in (images, texts))
            outside = exterior_angle(y, x[batch.captions.owner]) - half_aperture(y, self.radius)
            weights = texts.weights.to(y.dtype)
            entailed = weighted_mean(outside.clamp_min(0), weights)
        return {"contrastive": apart, "entailment": self.entailment * entailed}

    def _points(self, features: Features) -> Float[Tensor, "n d"]:
        return self.similarity.prepare(Features(wide(features.pooled))).pooled
