"""NegCLIP: every image must also tell its caption from a false one made of nearly the same words.

Yuksekgonul et al., "When and why vision-language models behave like bags-of-words, and what to do about it?", 2022.

    L = (L_image->text + L_text->image) / 2
    L_image->text: the columns of image i are all captions of the batch and all hard negative captions       (section 4)
    L_text->image: the rows are the true captions only; a false caption has no image to find

Negative captions come with the data (kind NEGATIVE): a caption with words exchanged, such as `a red square and a blue
circle` for `a blue square and a red circle`. Confirmed against the authors' code: their text side is the true captions
followed by the negatives, and their text-to-image loss is cut to the true ones.

Not here: the paper also adds, for each image, one of its nearest neighbours with its captions to the batch.
Differs from `contrastive` in requiring negative captions; without them the two are the same.
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
class NegCLIP(nn.Module):
    """A pair loss whose rows meet hard negative captions too.

    Args:
        loss: what one row of scores costs; None: InfoNCE, as in the paper.
        similarity: how alike an image and a text are; None: the cosine, as in the paper.
    """

    requires = ("negative captions",)

    def __init__(self, loss: PairLoss | None = None, similarity: Similarity | None = None):
        super().__init__()
        self.loss: PairLoss = loss or build("infonce", PairLoss)
        self.similarity: Similarity = similarity or build("cosine", Similarity)

    def encode(self, model: DualEncoder, batch: Batch) -> Encoded:
        """Runs both towers; the false captions go through the text tower with the true ones."""
        return encoded(model, batch, self.similarity.tokens)

    def terms(self, outputs: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The loss over true and false captions under its one name."""
        left, right = sides(outputs, batch)
        return {"contrastive": contrast(left, right, self.similarity, self.loss, outputs.scale, outputs.bias)}
