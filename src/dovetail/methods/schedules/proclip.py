"""ProCLIP: a language model first inherits a trained text tower's space, then images and texts are tuned gently.

Hu et al., "ProCLIP: Progressive Vision-Language Alignment via LLM-based Embedder", 2025.

    A(x, y) = 1/B ( sum_i |x_i - y_i|^2  +  sum_i<j h(|x_i - x_j| - |y_i - y_j|) ),   h(d) = d^2 / 2, |d| - 1/2 from 1
    1. L = A(adapter(language model(texts)), teacher(texts))                     the adapter learns, all else is frozen
    2. L = InfoNCE(images, texts) + a A(images, teacher(images))         image tower and adapter learn, the model not

Unit vectors; teacher: the trained CLIP by its name, whose image tower this model begins with, and which stays as it
was. Confirmed against the authors' code: both parts of A, its sums, a teacher that is frozen in stage 2 too, and a
learnt scale. Their sums, within a process, are not divided by the B items that they run over: the same for the Adam of
stage 1, but not for a, of whose value nothing is published; here the pairs are those of all processes, and a = 1 is
ours, as is how long each stage is. Their distances in stage 1 are those of one of an image's two texts, here of all.
A pair counts by the product of both images' weights.

    dovetail train ... --objective "proclip(teacher='runs/clip')" --image ... --text "llm2clip_text(hf_text('FOLDER'))"

The image tower, the length of the embeddings and the pixels' mean and deviation must be the teacher's. Their adapter:
`llm2clip_text` with blocks=1, expansion=8. What the teacher is told, see `models.teacher`.

Memory: the distances of a process's items to those of all. Differs from `llm2clip` in the teacher, and in that the
language model is taken as it is.
"""

from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, PairLoss, Schedule, Stage
from dovetail.data.records import DataError
from dovetail.models.contrasting import Encoded, encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.language import language_model
from dovetail.models.teacher import FrozenTeacher
from dovetail.ops.contrast import contrast
from dovetail.ops.distributed import gather
from dovetail.ops.features import wide
from dovetail.ops.means import weighted_mean
from dovetail.ops.similarity import normalize

EXACT = "donot_use_mm_for_euclid_dist"  # a matrix product cannot tell small distances from none


def _aligned(ours: Tensor, theirs: Tensor, weights: Tensor | None) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Both parts of A."""
    with torch.autocast(ours.device.type, enabled=False):
        x, y = normalize(wide(ours)), normalize(wide(theirs.detach()))
        w = torch.ones_like(x[:, 0]) if weights is None else weights.to(x.dtype)
        apart, apart_there = (torch.cdist(v, gather(v), compute_mode=EXACT) for v in (x, y))
        pairs = F.smooth_l1_loss(apart, apart_there, reduction="none") @ gather(w) / 2  # each is met from both sides
        return weighted_mean((x - y).square().sum(1), w), weighted_mean(pairs, w)


class _Inheritance(nn.Module):
    """The text side learns what the teacher says of texts."""

    requires: tuple[str, ...] = ()

    def __init__(self, name: str):
        super().__init__()
        self.name = name

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Opens the teacher, gives the model its image side and freezes all but the adapter. Raises DataError where
        they do not fit."""
        self.teacher = FrozenTeacher.named(self.name, model)
        _inherit(model, self.teacher.model, self.name)
        language_model(model).requires_grad_(False)
        for p in (model.log_scale, model.bias):  # of which no term depends on
            if p is not None:
                p.requires_grad_(False)

    def encode(self, model: DualEncoder, batch: Batch) -> tuple[Tensor, Tensor]:
        """The text side's vectors, and the teacher's."""
        texts = batch.captions.tokens
        return model.text_features(texts).pooled, self.teacher.text_features(texts).pooled

    def terms(self, outputs: tuple[Tensor, Tensor], batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """Both parts of the alignment with the teacher's texts."""
        weights = None if batch.weights is None else batch.weights[batch.captions.owner]
        instance, structure = _aligned(*outputs, weights)
        return {"instance": instance, "structure": structure}


class _Tuning(nn.Module):
    """InfoNCE, and the image side stays near the teacher's."""

    requires: tuple[str, ...] = ()

    def __init__(self, name: str, distillation: float):
        super().__init__()
        self.name, self.distillation = name, distillation
        self.loss, self.similarity = build("infonce", PairLoss), build("cosine")

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Opens the teacher and freezes the language model."""
        self.teacher = FrozenTeacher.named(self.name, model)
        language_model(model).requires_grad_(False)

    def encode(self, model: DualEncoder, batch: Batch) -> tuple[Encoded, Tensor]:
        """Both towers, and the teacher's images."""
        return encoded(model, batch, tokens=False), self.teacher.image_features(batch.images).pooled

    def terms(self, outputs: tuple[Encoded, Tensor], batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The contrastive loss and the weighted alignment with the teacher's images."""
        found, taught = outputs
        left, right = sides(found, batch)
        contrastive = contrast(left, right, self.similarity, self.loss, found.scale, found.bias)
        instance, structure = (self.distillation * v for v in _aligned(found.images.pooled, taught, batch.weights))
        return {"contrastive": contrastive, "instance": instance, "structure": structure}


def _inherit(model: DualEncoder, teacher: DualEncoder, name: str) -> None:
    """Gives the model the teacher's image side and scale."""
    ours, theirs = ((m.preprocessing.mean, m.preprocessing.std, m.embed_dim) for m in (model, teacher))
    if ours != theirs:
        raise DataError(f"proclip: mean, deviation and embeddings are {theirs} in {name}, {ours} here; make them equal")
    try:
        model.get_submodule("image").load_state_dict(teacher.get_submodule("image").state_dict())
        model.image_projection.load_state_dict(teacher.image_projection.state_dict())
    except RuntimeError as error:
        raise DataError(f"proclip: {name} has another image tower; give --image as there ({error})") from error
    model.log_scale.data.copy_(teacher.log_scale)


@implements(Schedule)
class ProCLIP(nn.Module):
    """The teacher's texts, then images.

    Args:
        teacher: the trained model, by its folder, file or hub id.
        distillation: weight of what keeps the images near the teacher's.
        first: the first stage's share of the budget, below 1.
    """

    requires = ()

    def __init__(self, teacher: str, distillation: float = 1.0, first: float = 0.5):
        super().__init__()
        self.teacher, self.distillation, self.first = teacher, distillation, first
        self.inheritance, self.tuning = _Inheritance(teacher), _Tuning(teacher, distillation)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Both, in turn."""
        texts = Stage(self.inheritance, self.first, frozen=("image", "image_projection"))
        return texts, Stage(self.tuning, 1 - self.first)
