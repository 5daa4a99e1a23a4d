"""FDT: images and captions are described with one shared vocabulary of learnt tokens, of which each uses a few.

Chen et al., "Revisiting Multimodal Representation in Contrastive Learning: From Patch and Token
Embeddings to Finite Discrete Tokens", 2023.

    r_c = max_p <q(u_p), v_c> / (sqrt(d) T),    u_p: the patches or the words, q: a small network of each modality
    f = sum_c w_c v_c,  w = sparsemax(r)                                          v_c (c = 1..C): the codebook, shared
    L = L_InfoNCE(f) + a L_InfoNCE(pooled)

    sparsemax(z) = the nearest point to z with numbers from 0 that sum to 1 (Martins & Astudillo, 2016)

Confirmed against the authors' code: the formulas, C = 16384, d = 512, T = 1000, the network (norm, linear, GELU, norm,
linear), a codebook that starts normally distributed, InfoNCE of unit vectors. T belongs to C: what decides how few
tokens are used is the spread of r beside 1/C, so a smaller codebook wants a lower T in proportion. Their schedule for
T, which the published configuration leaves constant, is not here.

Differs from the authors' in four things: patches and words come through the model's maps into the shared space first;
padding takes no part in the maximum, where it counts as 0 in theirs; an item without tokens is described by the mean of
the codebook; and the second term is ours, without which the vectors that evaluation and search compare would learn
nothing of each other (a = 0: the paper's loss alone). Memory: C numbers for each patch and word of what is in the
towers at once. Differs from FILIP in that items meet as one vector each.
"""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Features, Objective, PairLoss
from dovetail.models.contrasting import Encoded, encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.nn.repeatable import repeatable
from dovetail.ops.contrast import contrast


class Described(NamedTuple):
    """Both sides by their pooled vectors, and by the codebook."""

    pooled: Encoded
    codes: Encoded


@implements(Objective)
class FDT(nn.Module):
    """A pair loss between weighted sums of a codebook's tokens, and one between pooled vectors.

    Args:
        codes: number of the codebook's tokens (C).
        temperature: what their scores are divided by (T).
        pooled: weight of the second term (a).
        loss: what one row of scores costs; None: InfoNCE, as in the paper.
    """

    requires = ()

    def __init__(
        self,
        codes: int = 16384,
        temperature: float = 1000.0,
        pooled: float = 1.0,
        loss: PairLoss | None = None,
    ):
        super().__init__()
        self.codes, self.temperature, self.pooled = codes, temperature, pooled
        self.loss: PairLoss = loss or build("infonce", PairLoss)
        self.similarity = build("cosine")

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Makes the codebook, whose tokens are as long as the embeddings, and both networks."""
        width, like = model.embed_dim, model.log_scale
        with repeatable():
            self.codebook = nn.Parameter(torch.randn(self.codes, width).to(like))
            self.image_query, self.text_query = _query(width).to(like), _query(width).to(like)

    def encode(self, model: DualEncoder, batch: Batch) -> Described:
        """Runs both towers and describes each item with the codebook."""
        found = encoded(model, batch, tokens=True)
        images, texts = self.describe(found.images, self.image_query), self.describe(found.texts, self.text_query)
        pooled = Encoded(Features(found.images.pooled), Features(found.texts.pooled), found.scale, found.bias)
        return Described(pooled, Encoded(Features(images), Features(texts), found.scale, found.bias))

    def describe(self, features: Features, query: nn.Module) -> Float[Tensor, "b d"]:
        """The weighted sums of the codebook's tokens."""
        assert features.tokens is not None
        scores = (
            query(features.tokens) @ self.codebook.T / (math.sqrt(self.codebook.shape[1]) * self.temperature)
        )  # (b n C)
        with torch.autocast(scores.device.type, enabled=False):
            best = _highest(scores, features.mask)
            return sparsemax(best.to(self.codebook.dtype)) @ self.codebook

    def terms(self, outputs: Described, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The loss by the codebook, and the weighted one by the pooled vectors."""
        pooled, codes = (self._contrast(x, batch) for x in outputs)
        return {"codebook": codes, "pooled": self.pooled * pooled}

    def _contrast(self, outputs: Encoded, batch: Batch) -> Float[Tensor, ""]:
        left, right = sides(outputs, batch)
        return contrast(left, right, self.similarity, self.loss, outputs.scale, outputs.bias)


def sparsemax(z: Float[Tensor, "b c"]) -> Float[Tensor, "b c"]:
    """The nearest points to z whose numbers are at least 0 and sum to 1: max(0, z - t), with t the same in a row."""
    z = z - z.amax(1, keepdim=True)
    falling = z.sort(1, descending=True).values
    excess = falling.cumsum(1) - 1
    rank = torch.arange(1, z.shape[1] + 1, device=z.device)
    used = (rank * falling > excess).sum(1, keepdim=True)
    return (z - excess.gather(1, used - 1) / used).clamp_min(0)


def _highest(scores: Float[Tensor, "b n c"], mask: Bool[Tensor, "b n"] | None) -> Float[Tensor, "b c"]:
    """The best score of each code among the real tokens; 0 where there is none."""
    if mask is None:
        return scores.amax(1)
    best = scores.masked_fill(~mask[..., None], torch.finfo(scores.dtype).min).amax(1)
    return best * mask.any(1, keepdim=True)


def _query(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width), nn.Linear(width, width)
    )
