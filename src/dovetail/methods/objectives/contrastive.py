"""Contrastive: pull each image and its captions together, push all other pairs of the batch apart.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021.

    L = (L_image->text + L_text->image) / 2,  each the mean over its rows of the pair loss of t s(x_i, y_j) + c (fig. 3)

Any pair loss with any similarity: CLIP is InfoNCE with the cosine, SigLIP its loss with the cosine, and
`contrastive(loss=siglip, similarity=filip)` is nobody's paper yet. All captions of an image are its positives;
captions of kind NEGATIVE are columns that belong to no image.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import implements
from dovetail.contracts import Batch, Features, Kind, Objective, PairLoss, Similarity
from dovetail.models.dual_encoder import DualEncoder
from dovetail.ops.contrast import Side, contrast


@dataclass(frozen=True)
class Encoded:
    """Both sides of a batch after the towers, with the scale and bias of the scores."""

    images: Features
    texts: Features
    scale: Tensor
    bias: Tensor | None


@implements(Objective)
class Contrastive(nn.Module):
    """A pair loss over a similarity between the two towers' outputs.

    Args:
        loss: what one row of scores costs.
        similarity: how alike an image and a text are.
    """

    requires = ()

    def __init__(self, loss: PairLoss, similarity: Similarity):
        super().__init__()
        self.loss = loss
        self.similarity = similarity

    def encode(self, model: DualEncoder, batch: Batch) -> Encoded:
        """Runs both towers."""
        tokens = self.similarity.tokens
        images = model.image_features(batch.images, tokens)
        texts = model.text_features(batch.captions.tokens, tokens)
        return Encoded(images, texts, model.scale, model.bias)

    def terms(self, outputs: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The contrastive loss under its one name."""
        captions, weights = batch.captions, batch.weights
        weights = torch.ones_like(batch.ids, dtype=torch.float32) if weights is None else weights
        negative = captions.kind == Kind.NEGATIVE
        nothing = -1 - torch.arange(negative.numel(), device=negative.device)  # ids that no image has
        right = torch.where(negative, nothing, batch.ids[captions.owner])
        images = Side(outputs.images, batch.ids, weights)
        texts = Side(outputs.texts, right, weights[captions.owner] * ~negative)
        return {"contrastive": contrast(images, texts, self.similarity, self.loss, outputs.scale, outputs.bias)}
