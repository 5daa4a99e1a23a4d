"""Both towers over a batch whose images have regions with phrases: each tower once."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from dovetail.contracts import Batch, Features, Regions, Tokens
from dovetail.data.records import DataError
from dovetail.models.contrasting import Encoded
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.pixels import normalised
from dovetail.ops.texts import beside, strung


@dataclass(frozen=True)
class Located:
    """A batch's images and captions in the shared space, the image tower's own features, and further texts."""

    pairs: Encoded
    tower: Features
    further: Float[Tensor, "p d"]  # pooled, in the shared space


def located(model: DualEncoder, batch: Batch, further: Tokens) -> Located:
    """Runs the image tower, and the text tower over the captions with `further` texts.

    Raises DataError for an image tower without tokens.
    """
    tower = model.image(normalised(model, batch.images))
    if tower.tokens is None:
        raise DataError(
            f"the image tower {type(model.image).__name__} gives one vector an image and no patches, in which regions "
            "could be found; choose another, such as vit"
        )
    texts, count = model.text_features(beside(batch.captions.tokens, further)).pooled, len(batch.captions.owner)
    images = Features(model.image_projection(tower.pooled), grid=tower.grid)
    return Located(Encoded(images, Features(texts[:count]), model.scale, model.bias), tower, texts[count:])


def strung_phrases(model: DualEncoder, regions: Regions) -> Tokens:
    """The phrases of each image's regions as one text, in reading order; a row for each image that has some."""
    told, boxes = model.tokenizer, regions.boxes
    order = torch.arange(len(boxes), device=boxes.device)
    for side in (2, 3, 0, 1):  # the last is what counts most: from top to bottom, then from left to right
        order = order[boxes[order, side].argsort(stable=True)]
    ids, mask = regions.phrases.ids[order], regions.phrases.mask[order]
    words = Tokens(ids, mask & (ids != told.pad)) if told.fill else Tokens(ids, mask)
    texts = strung(words, regions.owner[order], (told.bos, told.eos), told.context)
    if not told.fill:
        return texts
    ids = F.pad(texts.ids.masked_fill(~texts.mask, told.pad), (0, told.context - texts.ids.shape[1]), value=told.pad)
    return Tokens(ids, torch.ones_like(ids, dtype=torch.bool))
