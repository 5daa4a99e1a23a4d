"""TIPS: web texts and synthetic captions each have their own vector of the image, and patches learn from a teacher.

Maninis et al., "TIPS: Text-Image Pretraining with Spatial Awareness", 2025.

    L = (L(e, web texts) + L(f, synthetic captions)) / 2 + a L_distill + b L_mask,    L(x, y): CLIP's InfoNCE
    L_distill = mean over local crops of  H(head(teacher(image)), head(pupil(crop)))
    L_mask = mean over masked patches p of  H(head'(teacher(image)_p), head'(pupil(image without them))_p)

H: the cross-entropy of a softmax over prototypes whose teacher is centred and sharper (`ops.sharpened`); the teacher is
a running mean of the image tower and the heads, its decay rising to 1. e is the model's image vector; f is a learnt
query's pooling of the patches, which the objective owns and does not keep: the paper's tower has two class tokens, and
a tower here may have none. Evaluation reads e. Hard negative captions meet e alone.

A patch is masked by a learnt patch of pixels in its place, so that any tower with a grid of tokens will do; with a
linear map of patches that is iBOT's mask token. Which patches are masked depends on the image's id and the step alone.

The form of the loss agrees with the paper's abstract and overviews of it. Not confirmed, for the authors published no
training code: a = 1 and b = 2, the heads, which vector is distilled (here the tower's pooled one), how much is masked
(here half, at random), one unmasked pass of the pupil for the captions, and every other number; heads, temperatures and
decay are DINO's. Local crops have the size of the image here. Cost: the image tower runs 2 + `crops` times, the
teacher's once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Crops, Features, Kind, Objective, PairLoss
from dovetail.data.records import DataError
from dovetail.models.contrasting import Encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.pixels import normalised
from dovetail.nn.pooling import AttentionPooling
from dovetail.nn.prototypes import SelfDistillation
from dovetail.nn.repeatable import repeatable
from dovetail.nn.trailing import Trailing, slowing
from dovetail.ops.contrast import contrast
from dovetail.ops.draws import chosen
from dovetail.ops.features import take
from dovetail.ops.means import weighted_mean
from dovetail.ops.sides import Side

HEADS = 4  # of the query's attention; as many as divide the width, if fewer


@dataclass(frozen=True)
class Looked:
    """Both vectors of the images with the texts; what distillation costs; what the teacher's heads said on average."""

    pairs: Encoded
    second: Float[Tensor, "b d"]
    crops: Float[Tensor, " v"]
    masked: Float[Tensor, " b"]
    said: tuple[Float[Tensor, "b k"], Float[Tensor, "b k"]]


@implements(Objective)
class TIPS(nn.Module):
    """Two contrasts, self-distillation from local crops and masked patch prediction.

    Args:
        distill: weight of the self-distillation (a).
        mask: weight of the prediction of masked patches (b).
        crops: local crops of an image.
        masked: share of the patches that are masked.
        prototypes: of each head.
        inner: width of the heads' hidden layers.
        decay: of the teacher at the start.
        loss: what one row of scores costs in the contrasts; None: InfoNCE, as in the paper.
    """

    requires = ("synthetic captions",)
    teacher: Trailing
    whole: SelfDistillation
    patch: SelfDistillation
    second: nn.Module

    def __init__(
        self,
        distill: float = 1.0,
        mask: float = 2.0,
        crops: int = 2,
        masked: float = 0.5,
        prototypes: int = 4096,
        inner: int = 2048,
        decay: float = 0.996,
        loss: PairLoss | None = None,
    ):
        super().__init__()
        self.distill, self.mask, self.crops, self.masked = distill, mask, crops, masked
        self.prototypes, self.inner, self.decay = prototypes, inner, decay
        self.views = (Crops(crops, (0.05, 0.4), 0.5, (0.4, 0.4, 0.2)),)
        self.loss: PairLoss = loss or build("infonce", PairLoss)
        self.similarity = build("cosine")
        self.step = 0  # of the choice of masks; no two steps have the same

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Makes the teacher, the second vector's query, the heads and the mask. Raises DataError for a tower without a
        grid of patches that divides its pixels."""
        self.teacher, size, width = (
            Trailing(model.get_submodule("image")),
            model.preprocessing.size,
            model.image.token_width,
        )
        grid = self.teacher(model.log_scale.new_zeros(1, 3, size, size)).grid
        if grid is None or size % grid[0] or size % grid[1]:
            raise DataError(
                f"tips masks patches, but the image tower has {grid or 'no'} patches on {size} x {size} pixels: take a "
                "tower whose tokens are a grid of equal patches, such as vit"
            )
        with repeatable():
            heads = next(h for h in range(HEADS, 0, -1) if width % h == 0)
            second = nn.Sequential(AttentionPooling(width, heads), nn.Linear(width, model.embed_dim, bias=False))
            whole, patch = (SelfDistillation(w, self.prototypes, self.inner) for w in (model.image.width, width))
        self.second = second.to(model.log_scale)
        self.whole, self.patch = whole.to(model.log_scale), patch.to(model.log_scale)
        self.pattern = nn.Parameter(model.log_scale.detach().new_zeros(3, size // grid[0], size // grid[1]))

    def advance(self, model: DualEncoder, progress: float) -> None:
        """A step of the teacher, of its heads and of their centres."""
        decay = slowing(self.decay, progress)
        self.teacher.follow(model.get_submodule("image"), decay)
        self.whole.advance(decay)
        self.patch.advance(decay)
        self.step = int(progress * (1 << 40))

    def encode(self, model: DualEncoder, batch: Batch) -> Looked:
        """Runs the towers, the image tower over the crops and with masked patches too, and the teacher."""
        assert batch.views is not None
        pixels = normalised(model, batch.images)
        seen, taught = model.image(pixels), self.teacher(pixels)
        crops = model.image(normalised(model, batch.views.images)).pooled
        assert taught.grid is not None
        said = self.whole.said(taught.pooled)
        hidden = chosen(batch.ids, taught.tokens.shape[1], self._count(taught), self.step)
        filled = model.image(_masked(pixels, hidden.view(-1, *taught.grid), self.pattern)).tokens
        assert filled is not None
        answers = self.patch.said(taught.tokens[hidden])
        masked = self.patch.costs(filled[hidden], answers)
        texts = model.text_features(batch.captions.tokens)
        return Looked(
            pairs=Encoded(Features(model.image_projection(seen.pooled)), texts, model.scale, model.bias),
            second=self.second(seen.tokens),
            crops=self.whole.costs(crops, said[batch.views.owner]),
            masked=masked.view(len(pixels), -1).mean(1),
            said=(said, answers.view(len(pixels), -1, self.prototypes).mean(1)),
        )

    def terms(self, outputs: Looked, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """All four, weighted. The mean over processes is the value of the joined batch, and so are the gradients."""
        assert batch.views is not None
        synthetic, weights = batch.captions.kind == Kind.SYNTHETIC, sides(outputs.pairs, batch)[0].weights
        if self.training:
            for heads, said in zip((self.whole, self.patch), outputs.said, strict=True):
                heads.note(said)
        local = weighted_mean(outputs.crops, weights[batch.views.owner].to(outputs.crops))
        return {
            "web": self._contrast(outputs, batch, outputs.pairs.images, ~synthetic) / 2,
            "synthetic": self._contrast(outputs, batch, Features(outputs.second), synthetic) / 2,
            "local to global": self.distill * local,
            "masked patches": self.mask * weighted_mean(outputs.masked, weights.to(outputs.masked)),
        }

    def _count(self, taught: Features) -> int:
        """How many patches are masked: one at least."""
        assert taught.tokens is not None
        return max(1, round(self.masked * taught.tokens.shape[1]))

    def _contrast(self, outputs: Looked, batch: Batch, vectors: Features, which: Bool[Tensor, " t"]) -> Tensor:
        """Of the images that have such texts, and of those texts."""
        images, texts = sides(outputs.pairs, batch)
        at, own = which.nonzero()[:, 0], which & (batch.captions.kind != Kind.NEGATIVE)
        some = torch.zeros_like(images.weights).index_add(0, batch.captions.owner, own.to(images.weights)) > 0
        left = replace(images, features=vectors, weights=images.weights * some)
        right = Side(take(texts.features, at), texts.ids[at], texts.weights[at])
        return contrast(left, right, self.similarity, self.loss, outputs.pairs.scale, outputs.pairs.bias)


def _masked(
    pixels: Float[Tensor, "b 3 h w"], hidden: Bool[Tensor, "b rows cols"], pattern: Float[Tensor, "3 p q"]
) -> Float[Tensor, "b 3 h w"]:
    """The images with the pattern for each hidden patch."""
    _, p, q = pattern.shape
    where = hidden.repeat_interleave(p, 1).repeat_interleave(q, 2)[:, None]
    return torch.where(where, pattern.repeat(1, *hidden.shape[1:]), pixels)
