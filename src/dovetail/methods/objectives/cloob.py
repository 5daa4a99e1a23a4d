"""CLOOB: embeddings are first looked up in a memory of the whole batch, then told apart without their own pair.

Fürst et al., "CLOOB: Modern Hopfield Networks with InfoLOOB Outperform CLIP", 2022.

    R(q, M) = unit( M^T softmax(beta M q) )                  what a modern Hopfield network with patterns M gives for q
    L = ( L_loob(R(x, X), R(y, X)) + L_loob(R(y, Y), R(x, Y)) ) / tau,    L_loob: InfoLOOB, scores tau <a_i, b_j>

x, X: unit image embeddings; y, Y: those of the captions; X and Y hold the batch of all processes. Images and captions
both look into the image memory, and both into the text memory; in the image memory the images ask for the captions, in
the text memory the captions for the images. Confirmed against the authors' code: each of the two terms has one
direction, is divided by tau, and no vector is projected. Beta and tau are fixed; 8 and 30 are those of the command that
they publish, 14.3 what their code takes for either where nothing is said. All captions of an image are its positives;
hard negative captions ask nothing.

Embeddings that are all equal stay so: what is retrieved is then one vector, which tells nothing apart. Towers that
begin with nearly equal embeddings can end there, as the claim measured below shows.

Memory: beside the engine's tiles an attention of the batch over the batch, four times. Differs from `contrastive` with
InfoLOOB in the retrieval, which lets features that occur together strengthen each other. The model's own scale and
bias are not used, and evaluation compares the embeddings as they are.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Features, Objective, PairLoss
from dovetail.models.contrasting import Encoded, encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.ops.contrast import contrast
from dovetail.ops.distributed import gather
from dovetail.ops.features import wide
from dovetail.ops.sides import Side
from dovetail.ops.similarity import normalize


def retrieved(queries: Float[Tensor, "n d"], stored: Float[Tensor, "m d"], beta: float) -> Float[Tensor, "n d"]:
    """What a modern Hopfield network that stores these patterns gives for each query, as a unit vector."""
    return normalize((beta * queries @ stored.T).softmax(1) @ stored)


@implements(Objective)
class CLOOB(nn.Module):
    """InfoLOOB between what images and captions retrieve from the batch.

    Args:
        beta: inverse temperature of the retrieval.
        scale: factor on the cosines of what was retrieved (1 / temperature), fixed.
        loss: what one row of scores costs; None: InfoLOOB, as in the paper.
    """

    requires = ()

    def __init__(self, beta: float = 8.0, scale: float = 30.0, loss: PairLoss | None = None):
        super().__init__()
        self.beta, self.scale = beta, scale
        self.loss: PairLoss = loss or build("infoloob", PairLoss)
        self.similarity = build("cosine")

    def encode(self, model: DualEncoder, batch: Batch) -> Encoded:
        """Runs both towers."""
        return encoded(model, batch, tokens=False)

    def terms(self, outputs: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The loss in the image memory and in the text memory."""
        images, texts = sides(outputs, batch)
        with torch.autocast(batch.images.device.type, enabled=False):
            x, y = (self._stored(side) for side in (images, texts))
            every = [gather(v) for v in (x, y)]
            in_images = self._one_way(self._side(images, x, every[0]), self._side(texts, y, every[0]))
            in_texts = self._one_way(self._side(texts, y, every[1]), self._side(images, x, every[1]))
        unused = sum(0 * x for x in (outputs.scale, outputs.bias) if x is not None)  # DDP wants every parameter in use
        return {"image memory": in_images + unused, "text memory": in_texts}

    def _stored(self, side: Side) -> Float[Tensor, "n d"]:
        return normalize(wide(side.features.pooled))

    def _side(self, side: Side, queries: Tensor, stored: Tensor) -> Side:
        return Side(Features(retrieved(queries, stored, self.beta)), side.ids, side.weights, side.facts)

    def _one_way(self, asking: Side, asked: Side) -> Float[Tensor, ""]:
        """The engine's mean over both directions, of which the second asks nothing, doubled."""
        silent = Side(asked.features, asked.ids, torch.zeros_like(asked.weights), asked.facts)
        scale = asking.features.pooled.new_tensor(self.scale)
        return 2 / self.scale * contrast(asking, silent, self.similarity, self.loss, scale)
