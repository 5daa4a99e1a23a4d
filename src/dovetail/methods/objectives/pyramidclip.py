"""PyramidCLIP: a picture, a part of it and its objects meet a summary, a text and the objects' names across levels.

Gao et al., "PyramidCLIP: Hierarchical Feature Alignment for Vision-language Model Pretraining", 2022.

    L = (1 - m - n) (L_GS + L_LT) / 2  +  m (L_GA + L_RS) / 2  +  n (L_LA + L_RT) / 2
    L_XY = L(X, Y): InfoNCE, both ways, whose target is 1 - e for a pair and e divided evenly over the others

G: the picture; L: a crop of it with half of its area or more; R: the objects in it. T: its text; S: a summary; A: the
words for the objects, as one text. By two public accounts of the paper (its training code is not public): all of the
above, e = 0.2, m = n = 1/3. By one of them a pair has e / (N - 1) as well, left out here so that targets sum to 1.

Here S and T are told by the kind of caption: T is an image's LONG captions, S its other true ones; an image that has
but one of the two has it for both. Hard negatives are columns of both. A strings the phrases of the image's regions
together, from top to bottom; R is a transformer over the means of the patches in the regions' boxes, of which the boxes
are told, and a mean. The authors have a detector's features instead, which pass through the rear of the image tower;
theirs is a global crop of 90 % or more, here it is what the recipe crops. Images without regions take part in the first
two terms, and are columns of the others. R's layers are the objective's and not kept with the model.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Crops, Features, Kind, Objective, PairLoss, Regions
from dovetail.data.records import DataError
from dovetail.models.contrasting import Encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.pixels import normalised
from dovetail.models.regional import located, strung_phrases
from dovetail.nn.repeatable import repeatable
from dovetail.nn.transformer import Layout, Transformer, mean_pool
from dovetail.ops.contrast import contrast
from dovetail.ops.features import take
from dovetail.ops.regions import framed, pooled, regions_of
from dovetail.ops.sides import Side
from dovetail.ops.smoothing import over_negatives, smoothing


@dataclass(frozen=True)
class Levels:
    """Pictures and captions; crops; of each image that has regions its objects and their words."""

    pairs: Encoded
    crops: Float[Tensor, "v d"]
    objects: Float[Tensor, "o d"]
    words: Float[Tensor, "o d"]


@implements(Objective)
class PyramidCLIP(nn.Module):
    """InfoNCE with smoothed targets between three levels of a picture and three of what is said of it.

    Args:
        smoothing: share of a row's target that is divided over its negatives (e).
        picture: weight of the pairs of the picture or its summary with the objects (m).
        part: weight of the pairs of the crop or the text with the objects (n).
        depth: layers of the transformer over objects.
        heads: of its attentions; divides the image tower's token width.
    """

    requires = ("regions",)
    views = (Crops(1, (0.5, 1.0), flip=0.0),)  # not mirrored: a text may speak of left and right

    def __init__(
        self, smoothing: float = 0.2, picture: float = 1 / 3, part: float = 1 / 3, depth: int = 2, heads: int = 4
    ):
        super().__init__()
        self.smoothing, self.picture, self.part, self.depth, self.heads = smoothing, picture, part, depth, heads
        self.loss, self.similarity = build("infonce", PairLoss), build("cosine")

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Makes the layers over objects. Raises DataError where the heads do not divide the tokens."""
        width = model.image.token_width
        if width % self.heads:
            raise DataError(f"pyramidclip(heads={self.heads}) does not divide image tokens of {width} numbers")
        with repeatable():
            self.enter = nn.Linear(width + 4, width)
            self.layers = Transformer(width, self.depth, self.heads)
            self.leave = nn.Linear(width, model.embed_dim, bias=False)
        self.to(model.log_scale)

    def encode(self, model: DualEncoder, batch: Batch) -> Levels:
        """Runs the image tower over pictures and crops, the text tower over captions and objects' words."""
        regions, views = regions_of(batch), batch.views
        assert views is not None
        found = located(model, batch, strung_phrases(model, regions))
        crops = model.image_projection(model.image(normalised(model, views.images)).pooled)
        return Levels(found.pairs, crops, self._objects(found.tower, regions), found.further)

    def _objects(self, tower: Features, regions: Regions) -> Float[Tensor, "o d"]:
        inside = pooled(tower, regions.boxes, regions.owner)
        told = self.enter(torch.cat([inside, regions.boxes.to(inside.dtype)], 1))
        frame, real = framed(told, regions.owner, len(tower.pooled))
        some = real.any(1)
        layout = Layout.of(real[some])
        seen = layout.spread(self.layers(layout.pack(frame[some]), layout))
        found: Tensor = self.leave(mean_pool(seen, real[some]))
        return found

    def terms(self, outputs: Levels, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The three sums, weighted. The mean over processes is that of the joined batch, and so are the gradients."""
        assert batch.views is not None
        images, texts = sides(outputs.pairs, batch)
        some = torch.zeros_like(batch.ids, dtype=torch.bool).index_fill(0, regions_of(batch).owner, True)
        of = batch.views.owner
        crops = Side(Features(outputs.crops), batch.ids[of], images.weights[of])
        objects, words = (
            Side(Features(x), batch.ids[some], images.weights[some]) for x in (outputs.objects, outputs.words)
        )
        text, summary = (_part(texts, which) for which in _levels(batch))
        # What asks for objects or words is of an image that has some.
        images_of, crops_of = _asking(images, some), _asking(crops, some[of])
        text_of, summary_of = (_part(_asking(texts, some[batch.captions.owner]), at) for at in _levels(batch))

        def both(first: tuple[Side, Side], second: tuple[Side, Side], weight: float) -> Float[Tensor, ""]:
            return weight * (self._meet(*first, outputs.pairs) + self._meet(*second, outputs.pairs)) / 2

        return {
            "peers": both((images, summary), (crops, text), 1 - self.picture - self.part),
            "picture": both((images_of, words), (objects, summary_of), self.picture),
            "part": both((crops_of, words), (objects, text_of), self.part),
        }

    def _meet(self, left: Side, right: Side, pairs: Encoded) -> Float[Tensor, ""]:
        """Smoothed InfoNCE."""
        sure = contrast(left, right, self.similarity, self.loss, pairs.scale)
        return sure + self.smoothing * smoothing(left, right, pairs.scale, over_negatives)


def _levels(batch: Batch) -> tuple[Bool[Tensor, " t"], Bool[Tensor, " t"]]:
    """Which captions are texts, and which summaries; hard negatives are among both."""
    kind, owner = batch.captions.kind, batch.captions.owner
    false, long = kind == Kind.NEGATIVE, kind == Kind.LONG
    short = ~false & ~long

    def without(which: Bool[Tensor, " t"]) -> Bool[Tensor, " t"]:
        return ~torch.isin(owner, owner[which])

    return long | (short & without(long)) | false, short | (long & without(short)) | false


def _part(texts: Side, which: Bool[Tensor, " t"]) -> Side:
    at = which.nonzero()[:, 0]
    return Side(take(texts.features, at), texts.ids[at], texts.weights[at])


def _asking(side: Side, which: Bool[Tensor, " n"]) -> Side:
    """The others are columns only."""
    return replace(side, weights=side.weights * which)
