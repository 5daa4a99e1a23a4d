"""CLIP: pick the right caption for each image out of the batch, and the right image for each caption.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021.

    L = (L_image->text + L_text->image) / 2,  each InfoNCE over rows of t <x_i, y_j>, of which t is learnt (figure 3)

x, y: unit embeddings; t starts at 1/0.07 and stays below 100, as in the authors' description. This is `contrastive`
with InfoNCE and the cosine, under the name that people look for, and `infonce` names the same. All captions of an
image are its positives, which do not compete; with one a batch it is the loss of the paper's pseudocode.

Differs from SigLIP in its softmax over the batch. The paper's towers are `clip_vit`, `modified_resnet` and `clip_text`.
"""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Objective
from dovetail.models.dual_encoder import DualEncoder


@implements(Objective)
class CLIP(nn.Module):
    """InfoNCE between the two towers' embeddings, compared by their cosine."""

    requires = ()

    def __init__(self) -> None:
        super().__init__()
        self.whole: Any = build("contrastive(loss=infonce, similarity=cosine)", Objective)
        self.loss, self.similarity = self.whole.loss, self.whole.similarity

    def encode(self, model: DualEncoder, batch: Batch) -> Any:
        """Runs both towers."""
        return self.whole.encode(model, batch)

    def terms(self, outputs: Any, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The one loss."""
        found: Mapping[str, Tensor] = self.whole.terms(outputs, batch)
        return found
