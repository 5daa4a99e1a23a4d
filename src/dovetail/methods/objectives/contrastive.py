"""Contrastive: pull each image and its captions together, push all other pairs of the batch apart.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021.

    L = (L_image->text + L_text->image) / 2,  each the mean over its rows of the pair loss of t s(x_i, y_j) + c (fig. 3)

Any pair loss with any similarity: CLIP is InfoNCE with the cosine, SigLIP its loss with the cosine, and
`contrastive(loss=siglip, similarity=filip)` is nobody's paper yet. All captions of an image are its positives.
"""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Objective, PairLoss, Similarity
from dovetail.models.contrasting import Encoded, encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.ops.contrast import contrast


@implements(Objective)
class Contrastive(nn.Module):
    """A pair loss over a similarity between the two towers' outputs.

    Args:
        loss: what one row of scores costs; None: InfoNCE.
        similarity: how alike an image and a text are; None: the cosine.
    """

    requires = ()

    def __init__(self, loss: PairLoss | None = None, similarity: Similarity | None = None):
        super().__init__()
        self.loss: PairLoss = loss or build("infonce", PairLoss)
        self.similarity: Similarity = similarity or build("cosine", Similarity)

    def encode(self, model: DualEncoder, batch: Batch) -> Encoded:
        """Runs both towers."""
        return encoded(model, batch, self.similarity.tokens)

    def terms(self, outputs: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The contrastive loss under its one name."""
        left, right = sides(outputs, batch)
        return {"contrastive": contrast(left, right, self.similarity, self.loss, outputs.scale, outputs.bias)}
