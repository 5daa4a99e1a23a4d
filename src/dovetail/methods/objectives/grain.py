"""GRAIN: queries over an image's patches search for its regions, and what each finds must fit the region's description.

Halbe et al., "Grounding Descriptions in Images informs Zero-Shot Visual Recognition", 2024.

    L = L_caption + u L_box + w L_region
    (v_q, box_q) = Decoder(query q, patches);   q(r): the query of region r by the cheapest matching of an image's
                   queries and regions, at the cost 5 |box_q - box_r|_1 - 2 GIoU(box_q, box_r)
    L_box    = mean_r  |box_q(r) - box_r|_1 + 1 - GIoU(box_q(r), box_r)
    L_region = mean_r  InfoNCE of v_q(r) among the descriptions of the batch, one way

|.|_1 sums over middle and size. L_caption: InfoNCE of images and captions. Confirmed against the authors' code: all of
the above, u = 1.5 (by how it divides), w = 1, the common temperature, a pre-norm decoder of six layers of eight heads.

Differs from that code: there the image's vector is what one more query finds, here it is the tower's own, so that what
is kept is a model of two towers (the decoder is the objective's); queries are the decoder's input and not added in each
layer; no dropout; ten queries, there five at first. Descriptions of equal words are positives of each other's regions.
A region beyond the queries is matched to none: its description is a column only. The data gives the descriptions and
boxes; the paper's use of class descriptions at test time is not here. Differs from CLOC in searching for the box.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Features, Objective, PairLoss, Regions
from dovetail.data.records import DataError
from dovetail.models.contrasting import Encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.regional import located
from dovetail.nn.region_queries import RegionQueries
from dovetail.nn.repeatable import repeatable
from dovetail.ops.boxes import centred, giou
from dovetail.ops.contrast import contrast
from dovetail.ops.features import wide
from dovetail.ops.matching import matched
from dovetail.ops.means import weighted_mean
from dovetail.ops.regions import framed, places, regions_of
from dovetail.ops.sides import Side
from dovetail.ops.texts import text_ids

COSTS = 5.0, 2.0  # of the distance and of the overlap, in the matching


@dataclass(frozen=True)
class Found:
    """Both sides of the batch, the regions' descriptions, and every query's vector and box (corners)."""

    pairs: Encoded
    told: Float[Tensor, "r d"]
    vectors: Float[Tensor, "b q d"]
    boxes: Float[Tensor, "b q 4"]


@implements(Objective)
class GRAIN(nn.Module):
    """A pair loss over images and captions, boxes that queries find, and a contrast of these with descriptions.

    Args:
        queries: how many regions of an image are searched for.
        depth: layers of the decoder.
        heads: of every attention in it; divides the model's embed_dim.
        box: weight of the second term (u).
        region: weight of the third (w).
        loss: what one row of scores costs in the first term; None: InfoNCE, as in the paper.
    """

    requires = ("regions",)

    def __init__(
        self,
        queries: int = 10,
        depth: int = 6,
        heads: int = 8,
        box: float = 1.5,
        region: float = 1.0,
        loss: PairLoss | None = None,
    ):
        super().__init__()
        self.queries, self.depth, self.heads, self.box, self.region = queries, depth, heads, box, region
        self.loss: PairLoss = loss or build("infonce", PairLoss)
        self.similarity, self.apart = build("cosine"), build("infonce", PairLoss)

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Makes the decoder. Raises DataError where the heads do not divide the embeddings."""
        if model.embed_dim % self.heads:
            raise DataError(f"grain(heads={self.heads}) does not divide embeddings of {model.embed_dim} numbers")
        with repeatable():
            decoder = RegionQueries(self.queries, model.image.token_width, model.embed_dim, self.depth, self.heads)
        self.decoder = decoder.to(model.log_scale)

    def encode(self, model: DualEncoder, batch: Batch) -> Found:
        """Runs both towers, and the decoder over the patches."""
        found = located(model, batch, regions_of(batch).phrases)
        assert found.tower.tokens is not None
        return Found(found.pairs, found.further, *self.decoder(found.tower.tokens, found.tower.mask))

    def terms(self, outputs: Found, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """All three terms, weighted. The mean over processes is that of the joined batch, and so are the gradients."""
        pairs, regions = outputs.pairs, regions_of(batch)
        images, texts = sides(pairs, batch)
        whole = contrast(images, texts, self.similarity, self.loss, pairs.scale, pairs.bias)
        with torch.autocast(batch.images.device.type, enabled=False):
            boxes, ids = wide(outputs.boxes), text_ids(regions.phrases)
            query = _queries(boxes.detach(), regions)
            at, weights = (regions.owner, query.clamp_min(0)), images.weights[regions.owner] * (query >= 0)
            far, overlap = _compared(boxes[at], regions.boxes.to(boxes.dtype))
            box = weighted_mean(far + 1 - overlap, weights.to(boxes.dtype))
        seen = Side(Features(outputs.vectors[at]), ids, weights)
        told = Side(Features(outputs.told), ids, torch.zeros_like(weights))
        # The engine's mean over both directions, of which the descriptions ask nothing, is half of L_region.
        region = 2 * contrast(seen, told, self.similarity, self.apart, pairs.scale)
        return {"contrastive": whole, "boxes": self.box * box, "regions": self.region * region}


def _queries(boxes: Float[Tensor, "b q 4"], regions: Regions) -> Int[Tensor, " r"]:
    """The query of each region; -1 where there were too few."""
    true, real = framed(regions.boxes.to(boxes.dtype), regions.owner, len(boxes))
    far, overlap = _compared(boxes[:, None], true[:, :, None])
    found = matched(COSTS[0] * far - COSTS[1] * overlap, real)
    return found[regions.owner, places(regions.owner)]


def _compared(
    found: Float[Tensor, "... 4"], true: Float[Tensor, "... 4"]
) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."]]:
    """How far middles and sizes are from the true ones, in sum, and how well the boxes overlap."""
    return (centred(found) - centred(true)).abs().sum(-1), giou(found, true)
