"""CLOC: from an image's tokens and a box, a light layer makes the vector of that region, which must fit its phrase.

Chen et al., "Contrastive Localized Language-Image Pre-Training", 2025.

    L = L_CLIP + w s (L_CLOC + L_grounding),    s: the share of the images that have regions               (eq. 4)
    z_r = Prompter(box r, tokens);   L_CLOC: InfoNCE of z_r and the phrases y_r, both ways                 (eq. 2)
    L_grounding = mean_r  |box r - Head(Prompter(y_r, tokens))|^2 / 4                                      (eq. 3)

Confirmed against the text of the paper, whose code is not public: all of the above; the prompter, one transformer
block of one head over the prompt and the image's tokens, the mean and a linear map; a box as the sines and cosines of
its two corners; a phrase by the text tower; the head of two layers; w = 1; phrases of a cosine above 0.9 are not told
from each other. A box is four fractions (left, top, right, bottom).

Not stated there, and ours: a linear map of the phrase to the width of the tokens, and the lengths of the waves. The
authors draw four regions of an image for every step; here all take part. Phrases of equal words are positives of each
other's regions, which is the same value as leaving them out of the rows. The prompter is the objective's and is not
kept with the model. Differs from GRAIN in that the box is given, not searched for.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Features, Objective, PairLoss
from dovetail.models.contrasting import Encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.regional import located
from dovetail.nn.prompter import Prompter
from dovetail.nn.repeatable import repeatable
from dovetail.ops.boxes import waves
from dovetail.ops.contrast import contrast
from dovetail.ops.distributed import mean_over_processes
from dovetail.ops.features import wide
from dovetail.ops.means import weighted_mean
from dovetail.ops.regions import regions_of
from dovetail.ops.sides import Pairs, Side
from dovetail.ops.similarity import normalize
from dovetail.ops.texts import text_ids


@dataclass(frozen=True)
class Prompted:
    """Both sides of the batch; of each region its phrase, what the prompter sees in its box, and where it finds it."""

    pairs: Encoded
    phrases: Float[Tensor, "r d"]
    seen: Float[Tensor, "r d"]
    boxes: Float[Tensor, "r 4"]


@implements(Objective)
class CLOC(nn.Module):
    """A pair loss over images and captions, one over regions and phrases, and boxes found from phrases.

    Args:
        weight: of the terms about regions (w).
        alike: the cosine above which two phrases are not told from each other.
        loss: what one row of scores costs in the first term; None: InfoNCE, as in the paper.
    """

    requires = ("regions",)

    def __init__(self, weight: float = 1.0, alike: float = 0.9, loss: PairLoss | None = None):
        super().__init__()
        self.weight, self.alike = weight, alike
        self.loss: PairLoss = loss or build("infonce", PairLoss)
        self.similarity, self.apart = build("cosine"), build("infonce", PairLoss)

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Makes the prompter, the map of a phrase to a prompt, and the head that gives a box."""
        width, out = model.image.token_width, model.embed_dim
        with repeatable():
            self.prompter, self.asking = Prompter(width, out), nn.Linear(out, width)
            self.head = nn.Sequential(nn.Linear(out, out), nn.GELU(), nn.Linear(out, 4))
        self.to(model.log_scale)

    def encode(self, model: DualEncoder, batch: Batch) -> Prompted:
        """Runs both towers, and the prompter with every box and every phrase."""
        regions = regions_of(batch)
        found = located(model, batch, regions.phrases)
        tokens, real = found.tower.tokens, found.tower.mask
        assert tokens is not None
        corners = regions.boxes.to(found.further.dtype).view(-1, 2)
        spots = waves(corners, tokens.shape[2]).view(-1, 2, tokens.shape[2])
        seen = self.prompter(spots, tokens, regions.owner, real)
        asked = self.prompter(self.asking(found.further)[:, None], tokens, regions.owner, real)
        return Prompted(found.pairs, found.further, seen, self.head(asked))

    def terms(self, outputs: Prompted, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """All three terms, weighted. The mean over processes is that of the joined batch, and so are the gradients."""
        pairs, regions = outputs.pairs, regions_of(batch)
        images, texts = sides(pairs, batch)
        whole = contrast(images, texts, self.similarity, self.loss, pairs.scale, pairs.bias)
        weights, ids = images.weights[regions.owner], text_ids(regions.phrases)
        with torch.autocast(batch.images.device.type, enabled=False):
            facts = normalize(wide(outputs.phrases.detach()))
            seen, said = (Side(Features(x), ids, weights, facts) for x in (outputs.seen, outputs.phrases))
            some = torch.zeros_like(images.weights).index_fill(0, regions.owner, 1)
            share = self.weight * mean_over_processes(weighted_mean(some, images.weights))
            error = (wide(outputs.boxes) - regions.boxes).square().mean(1)
            grounding = share * weighted_mean(error, weights.to(error.dtype))
        local = contrast(seen, said, self.similarity, self.apart, pairs.scale, None, self._belong)
        return {"contrastive": whole, "regions": share * local, "grounding": grounding}

    def _belong(self, rows: Side, cols: Side) -> Pairs | None:
        """Phrases of equal words, and those that are nearly alike by so little that they cost nothing."""
        assert rows.facts is not None and cols.facts is not None
        near = (rows.facts @ cols.facts.T > self.alike) * torch.finfo(torch.float32).tiny
        return Pairs.of(torch.where(rows.ids[:, None] == cols.ids[None], 1.0, near))
