"""Alignment & Uniformity: what belongs together shall coincide, and all of it shall be spread over the sphere.

Wang & Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the
Hypersphere", 2020.

    L_align   = mean over pairs  |x - y|^alpha                                                            (section 4.1)
    L_uniform = log  mean over i, j  exp(-t |x_i - x_j|^2)                                                (section 4.1)
    L = a L_align + u (L_uniform(images) + L_uniform(captions)) / 2

x, y: unit embeddings; a pair is an image and one of its captions; i, j: two different things of the same kind. Alpha
and t are 2 and confirmed against the authors' code, as are a = u = 1 in its example for two views of one image; for
images and captions the weights are ours. Hard negative captions take no part in the first term. The same terms measure
a trained model's space in `evaluation.geometry`.

Memory: the cosines of a process's items with those of all processes. Differs from InfoNCE, whose limit for many
negatives it is, in having no temperature and no positives in the second term. The model's own scale and bias are not
used.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dovetail.catalogue import implements
from dovetail.contracts import Batch, Kind, Objective
from dovetail.models.contrasting import Encoded, encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.ops.distributed import gather, sum_over_processes, world_size
from dovetail.ops.features import wide
from dovetail.ops.means import weighted_mean
from dovetail.ops.similarity import normalize


@implements(Objective)
class AlignmentUniformity(nn.Module):
    """A weighted sum of how close pairs are and how evenly all is spread.

    Args:
        alpha: power of the distance of a pair.
        t: sharpness of the Gaussian by which nearness counts.
        alignment: weight of the first term.
        uniformity: weight of the second.
    """

    requires = ()

    def __init__(self, alpha: float = 2.0, t: float = 2.0, alignment: float = 1.0, uniformity: float = 1.0):
        super().__init__()
        self.alpha, self.t, self.alignment, self.uniformity = alpha, t, alignment, uniformity

    def encode(self, model: DualEncoder, batch: Batch) -> Encoded:
        """Runs both towers."""
        return encoded(model, batch, tokens=False)

    def terms(self, outputs: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """Both terms, weighted. The mean over processes is the value of the joined batch, and so are the gradients."""
        images, texts = sides(outputs, batch)
        with torch.autocast(batch.images.device.type, enabled=False):
            x, y = (normalize(wide(side.features.pooled)) for side in (images, texts))
            squared = (x[batch.captions.owner] - y).square().sum(1)
            # The square root has no slope at 0, where a pair coincides.
            distances = squared if self.alpha == 2 else squared.clamp_min(1e-12).pow(self.alpha / 2)
            true = (batch.captions.kind != Kind.NEGATIVE).to(x.dtype)
            near = weighted_mean(distances, texts.weights.to(x.dtype) * true)
            spread = (self._uniformity(x, images.ids) + self._uniformity(y, texts.ids)) / 2
        unused = sum(0 * p for p in (outputs.scale, outputs.bias) if p is not None)  # DDP wants every parameter in use
        return {"alignment": self.alignment * near + unused, "uniformity": self.uniformity * spread}

    def _uniformity(self, x: Float[Tensor, "n d"], ids: Int[Tensor, " n"]) -> Float[Tensor, ""]:
        """The logarithm of the mean over all ordered pairs of different things."""
        every, apart = gather(x), ids[:, None] != gather(ids)[None, :]
        near = (2 * self.t * (x @ every.T - 1)).exp() * apart
        total, count = near.sum(), sum_over_processes(apart.sum().to(x.dtype))
        whole = sum_over_processes(total)
        if not bool(count):
            return 0 * total  # no two different things
        return _joined(total / whole, (whole / count).log())


def _joined(share: Float[Tensor, ""], value: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """`value`, with the gradient of this process's share of the whole, which is averaged over processes afterwards."""
    return value.detach() + world_size() * (share - share.detach())
