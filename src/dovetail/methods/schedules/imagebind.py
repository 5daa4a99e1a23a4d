"""ImageBind: whatever is paired with images is bound to texts too, since images and texts share a space already.

Girdhar et al., "ImageBind: One Embedding Space To Bind Them All", 2023.

    1. InfoNCE of images and texts
    2. L = sum over senses  (L_image->sense + L_sense->image) / 2,    InfoNCE of x_i = image(I_i) and u_i = tower(M_i)
       scores: s <x_i, u_j> of unit vectors; image and text towers are frozen, each sense has a tower of its own

A sense is what another sensor saw of the same thing: its depth, or a video of it. No text is ever paired with a sense;
that texts find depth maps (`evaluation.senses`) emerges. `imagebind(first=0)` with `--model` binds senses to a trained
model, as the authors do, who take CLIP. The towers lie in the model: `model.encode_sense("depth", ...)`, and are saved
with it; a later training of the images' side drops them, for they would fit no more. Data: columns `depth`, `video`.

Confirmed against the authors' code: a transformer over patches and a linear map for each sense, unit vectors, depth
as one channel, and s = 5 for it, which does not learn. Differs from it in the mean of the tokens for a class token, in
frames with sines and cosines for a place in time, and in senses: audio, thermal pictures and motion sensors are not
here, while video, which is an image's own affair there, is. Images without a sense take no part in its term.

Differs from `contrastive` in that only the towers of the senses learn, and from training on texts and depth in needing
no texts of depth maps.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Features, Modality, Objective, PairLoss, Schedule, Stage
from dovetail.data.records import DataError
from dovetail.models.dual_encoder import DualEncoder
from dovetail.nn.frames import FrameTower
from dovetail.ops.contrast import contrast
from dovetail.ops.features import take
from dovetail.ops.sides import Side

CHANNELS = {"depth": 1, "video": 3}


class _Binding(nn.Module):
    """A pair loss between images, which stay as they are, and each sense."""

    def __init__(self, senses: Sequence[str], patch: int, width: int, depth: int, scale: float):
        super().__init__()
        self.requires, self.patch, self.width, self.depth, self.scale = tuple(senses), patch, width, depth, scale
        self.loss, self.similarity = build("infonce", PairLoss), build("cosine")

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Freezes the model and gives it towers for the senses. Raises DataError for a patch that does not fit."""
        size = model.preprocessing.size
        if size % self.patch:
            raise DataError(f"imagebind: patches of {self.patch} pixels do not divide {size}; give another patch")
        model.requires_grad_(False)
        for sense in self.requires:
            tower = FrameTower(CHANNELS[sense], size, self.patch, self.width, self.depth, model.embed_dim)
            model.senses[sense] = tower.to(model.log_scale)

    def encode(self, model: DualEncoder, batch: Batch) -> tuple[Features, dict[str, Tensor]]:
        """The images, and what each sense saw of some of them."""
        with torch.no_grad():
            images = Features(model.image_features(batch.images).pooled)
        seen = {sense: _seen(batch, sense, model.preprocessing.size).frames for sense in self.requires}
        return images, {sense: model.sense_features(sense, frames) for sense, frames in seen.items()}

    def terms(self, outputs: tuple[Features, dict[str, Tensor]], batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """A term for each sense."""
        images, senses = outputs
        scale = images.pooled.new_tensor(self.scale)
        weights = torch.ones_like(batch.ids, dtype=torch.float32) if batch.weights is None else batch.weights
        terms = {}
        for sense, vectors in senses.items():
            owner = _seen(batch, sense, 1).owner
            left, right = (Side(f, batch.ids[owner], weights[owner]) for f in (take(images, owner), Features(vectors)))
            terms[sense] = contrast(left, right, self.similarity, self.loss, scale)
        return terms


def _seen(batch: Batch, sense: str, size: int) -> Modality:
    """What a sense saw of the batch; nothing, where it saw no image of it."""
    found: Modality | None = getattr(batch, sense)
    if found is not None:
        return found
    frames = torch.zeros(0, 1, CHANNELS[sense], size, size, device=batch.ids.device)
    return Modality(frames, batch.ids.new_zeros(0))


@implements(Schedule)
class ImageBind(nn.Module):
    """Images and texts, then images and each sense.

    Args:
        senses: what to bind: depth, video.
        first: the first stage's share of the budget; 0: the model is trained already, and senses are all that is bound.
        patch: height and width in pixels of the patches that the senses' towers read.
        width: length of their tokens' vectors.
        depth: number of their blocks.
        scale: what cosines with a sense are multiplied by (s).
    """

    requires: tuple[str, ...] = ("depth",)

    def __init__(
        self,
        senses: Sequence[str] = ("depth",),
        first: float = 0.5,
        patch: int = 16,
        width: int = 256,
        depth: int = 4,
        scale: float = 5.0,
    ):
        super().__init__()
        if not senses or (unknown := [sense for sense in senses if sense not in CHANNELS]):
            raise ValueError(f"senses must be some of {', '.join(CHANNELS)}, not {list(unknown) if senses else senses}")
        if not 0 <= first < 1:
            raise ValueError(f"first must be a share from 0 to below 1, not {first}")
        self.senses, self.first, self.patch, self.width, self.depth = senses, first, patch, width, depth
        self.scale, self.requires = scale, tuple(senses)
        self.alignment = build("contrastive", Objective)
        self.loss, self.similarity = self.alignment.loss, self.alignment.similarity
        self.binding = _Binding(senses, patch, width, depth, scale)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Both, in turn; the second alone for a model that is trained already."""
        binding = Stage(self.binding, 1 - self.first)
        return (Stage(self.alignment, self.first), binding) if self.first else (binding,)
