"""A batch as the two sides of a contrast: what objectives over a score matrix begin with."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dovetail.contracts import Batch, Features, Kind
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.pixels import normalised
from dovetail.ops.sides import Side


@dataclass(frozen=True)
class Encoded:
    """Both sides of a batch after the towers, with the scale and bias of the scores."""

    images: Features
    texts: Features
    scale: Tensor
    bias: Tensor | None


def encoded(model: DualEncoder, batch: Batch, tokens: bool) -> Encoded:
    """Runs both towers; tokens: with the features of patches and words."""
    images = model.image_features(batch.images, tokens)
    texts = model.text_features(batch.captions.tokens, tokens)
    return Encoded(images, texts, model.scale, model.bias)


def sides(outputs: Encoded, batch: Batch) -> tuple[Side, Side]:
    """Images and texts for `ops.contrast.contrast`. All captions of an image are its positives; captions of kind
    NEGATIVE are columns that belong to no image and ask no question of their own."""
    captions, weights = batch.captions, batch.weights
    weights = torch.ones_like(batch.ids, dtype=torch.float32) if weights is None else weights
    negative = captions.kind == Kind.NEGATIVE
    nothing = -1 - torch.arange(negative.numel(), device=negative.device)  # ids that no image has
    right = torch.where(negative, nothing, batch.ids[captions.owner])
    images = Side(outputs.images, batch.ids, weights)
    return images, Side(outputs.texts, right, weights[captions.owner] * ~negative)


@dataclass(frozen=True)
class Raised:
    """Both sides of a batch, and the towers' own vectors, from before the maps into the shared space."""

    pairs: Encoded
    images: Float[Tensor, "b d"]
    texts: Float[Tensor, "t e"]


def raised(model: DualEncoder, batch: Batch) -> Raised:
    """Runs both towers once for either."""
    x, y = model.image(normalised(model, batch.images)).pooled, model.text(batch.captions.tokens).pooled
    images, texts = Features(model.image_projection(x)), Features(model.text_projection(y))
    return Raised(Encoded(images, texts, model.scale, model.bias), x, y)


def true_pairs(batch: Batch) -> tuple[Int[Tensor, " p"], Int[Tensor, " p"], Float[Tensor, " p"]]:
    """The numbers of every true caption and of its image, and how much the image counts."""
    caption = (batch.captions.kind != Kind.NEGATIVE).nonzero()[:, 0]
    image = batch.captions.owner[caption]
    weights = torch.ones_like(batch.ids, dtype=torch.float32) if batch.weights is None else batch.weights
    return caption, image, weights[image]
