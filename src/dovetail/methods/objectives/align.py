"""ALIGN: captions from the web are often wrong, so the softmax over the batch may not be too sure of them.

Jia et al., "Scaling Up Visual and Vision-Language Representation Learning With Noisy Text Supervision", 2021.

    L = (L_image->text + L_text->image) / 2,  cross-entropy over rows of <x_i, y_j> / temperature        (eq. 1 and 2)
    targets: 1 - e for the pair, and e divided evenly over all columns, the pair's among them

x, y: unit embeddings of all processes; the temperature is learnt and one for both directions. Confirmed against the
conversion in transformers: e = 0.1, the temperature starts at 1, the mean of both directions. All captions of an image
are its positives, each smoothed against the negatives (`ops.smoothing`); hard negative captions are columns that ask
nothing.

The paper's towers are EfficientNet-L2 and BERT-Large: `--image timm:efficientnet_b7 --text hf_text:FOLDER` comes near.
Queries of an image and a text are added: `ops.composition.added`. The paper's point is the scale of its data, 1.8
billion pairs, which no objective gives. Differs from `clip` in the smoothing and in where the temperature starts.
"""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Objective, PairLoss
from dovetail.models.contrasting import Encoded, encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.ops.contrast import contrast
from dovetail.ops.smoothing import over_columns, smoothing


@implements(Objective)
class ALIGN(nn.Module):
    """InfoNCE with label smoothing.

    Args:
        smoothing: share of a row's target that is divided over all columns (e).
        initial_scale: the factor on the cosine at the start (1 / temperature); learnt.
    """

    requires = ()

    def __init__(self, smoothing: float = 0.1, initial_scale: float = 1.0):
        super().__init__()
        self.smoothing, self.initial_scale = smoothing, initial_scale
        self.loss = build(f"infonce(initial_scale={initial_scale!r})", PairLoss)
        self.similarity = build("cosine")

    def encode(self, model: DualEncoder, batch: Batch) -> Encoded:
        """Runs both towers."""
        return encoded(model, batch, tokens=False)

    def terms(self, outputs: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """InfoNCE, and what smoothing adds to it."""
        left, right = sides(outputs, batch)
        return {
            "contrastive": contrast(left, right, self.similarity, self.loss, outputs.scale, outputs.bias),
            "smoothing": self.smoothing * smoothing(left, right, outputs.scale, over_columns),
        }
