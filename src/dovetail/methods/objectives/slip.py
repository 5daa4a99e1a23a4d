"""SLIP: beside image and caption, two strongly altered views of each picture must recognise one another.

Mu et al., "SLIP: Self-supervision meets Language-Image Pre-training", 2021.

    L = L_CLIP(images, captions) + w L_SimCLR
    L_SimCLR = -1/2b  sum_i  log  exp(<z_i, z_j> / T) / sum_{k != i} exp(<z_i, z_k> / T)

z (2b e): the two views of each image through the image tower and a projector of three layers, of unit length; j is the
other view of the image of i, k runs over all views of the batch but i. Confirmed against the authors' code: w = 1, T =
0.1, a projector of 4096, 4096 and 256 numbers on the tower's vector before its map into the shared space, each hidden
layer normalised over the batch of all processes; views of 0.08 to 1 of the picture, mirrored half of the time.

The authors' views also shift the hue, lose their colour or are blurred, each at a rate; here brightness, contrast and
saturation change in every view, by up to their strength of 0.4. Views of equal ids all belong together. The projector
is the objective's and is not kept with the model. Cost: three passes of the image tower for one of CLIP.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Crops, Features, Objective, PairLoss
from dovetail.models.contrasting import Encoded, encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.pixels import normalised
from dovetail.nn.projector import perceptron
from dovetail.nn.repeatable import repeatable
from dovetail.ops.among import contrast_among
from dovetail.ops.contrast import contrast
from dovetail.ops.features import wide
from dovetail.ops.sides import Side


@dataclass(frozen=True)
class Seen:
    """The pairs of the first term, and the image tower's vectors of the views."""

    pairs: Encoded
    views: Float[Tensor, "v d"]


@implements(Objective)
class SLIP(nn.Module):
    """A pair loss over images and captions, and one over two views of each image.

    Args:
        weight: of the second term (w).
        temperature: of the second term (T).
        inner: width of the projector's hidden layers.
        width: how many numbers the projector gives (e).
        loss: what one row of scores costs; None: InfoNCE, as in the paper.
    """

    requires = ()
    projector: nn.Module
    views = (Crops(2, (0.08, 1.0), 0.5, (0.4, 0.4, 0.4)),)

    def __init__(
        self,
        weight: float = 1.0,
        temperature: float = 0.1,
        inner: int = 4096,
        width: int = 256,
        loss: PairLoss | None = None,
    ):
        super().__init__()
        self.weight, self.temperature, self.inner, self.width = weight, temperature, inner, width
        self.loss: PairLoss = loss or build("infonce", PairLoss)
        self.similarity, self.apart = build("cosine"), build("infonce", PairLoss)

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Makes the projector."""
        with repeatable():
            projector = perceptron((model.image.width, self.inner, self.inner, self.width))
        self.projector = projector.to(model.log_scale)

    def encode(self, model: DualEncoder, batch: Batch) -> Seen:
        """Runs both towers, the image tower over the views too."""
        assert batch.views is not None
        return Seen(encoded(model, batch, tokens=False), model.image(normalised(model, batch.views.images)).pooled)

    def terms(self, outputs: Seen, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """Both terms, weighted. The mean over processes is the value of the joined batch, and so are the gradients."""
        assert batch.views is not None
        images, texts = sides(outputs.pairs, batch)
        pairs = contrast(images, texts, self.similarity, self.loss, outputs.pairs.scale, outputs.pairs.bias)
        with torch.autocast(batch.images.device.type, enabled=False):
            z, owner = self.projector(wide(outputs.views)), batch.views.owner
            views = Side(Features(z), batch.ids[owner], images.weights[owner])
            scale = z.new_tensor(1 / self.temperature)
            apart = contrast_among(views, self.similarity, self.apart, scale)
        return {"contrastive": pairs, "views": self.weight * apart}
