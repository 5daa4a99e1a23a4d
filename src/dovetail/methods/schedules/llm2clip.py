"""LLM2CLIP: a language model first learns to tell captions apart, then images learn to find its frozen embeddings.

Huang et al., "LLM2CLIP: Powerful Language Model Unlock Richer Visual Representation", 2024.

    1. the language model's embeddings x of all captions, through low-rank maps, everything else frozen:
       L = mean_i mean_p -log( exp(s <x_i, x_p>) / (exp(s <x_i, x_p>) + sum_n exp(s <x_i, x_n>)) )
    2. the language model frozen, its maps merged: InfoNCE between images and what an adapter makes of x

p: the other captions of caption i's image; n: those of other images, of all processes. Confirmed against the authors'
code: unit vectors, s = 50 and fixed, maps of rank 16 beside every linear map with a factor of 2, in the second stage
image tower and adapter learning together. Theirs: one short and one long caption, the one asking and the other asked,
with a random negative, among pairs of other text data, after masked prediction of words. The dropout of 0.05 on the
maps and an instruction before a text are not here. How long each stage is, is ours.

The adapter is what ends the text tower: `--text "llm2clip_text(hf_text('FOLDER', pool='last'))"`, with
`--captions_per_image 2` or more; of a tower without one, the linear map into the shared space. Hard negative captions
are negatives of all. The frozen model's embeddings are computed anew at every step; theirs were stored once.

Memory: in stage 1 the cosines of a process's captions with those of all. Differs from `contrastive` in the first stage,
and in that no gradient of an image ever reaches the language model. Its claim begins with random weights, where the
paper has a pretrained language model, and gives half of equal steps to stage 1.
"""

from collections.abc import Iterable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Kind, PairLoss, Schedule, Stage
from dovetail.data.records import DataError
from dovetail.models.contrasting import Encoded, encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.language import language_model, language_part
from dovetail.models.lora import add_lora, has_lora, merge
from dovetail.ops.contrast import contrast, row_losses
from dovetail.ops.distributed import gather, sum_over_processes, this_process
from dovetail.ops.features import wide
from dovetail.ops.means import weighted_mean
from dovetail.ops.similarity import normalize


class _Captions(nn.Module):
    """InfoNCE between the captions of one image."""

    requires: tuple[str, ...] = ("several captions",)

    def __init__(self, rank: int, scale: float):
        super().__init__()
        self.rank, self.scale = rank, scale
        self.cost = build("infonce", PairLoss)

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Low-rank maps for the language model; all else is frozen. Raises DataError where there are some already."""
        if has_lora(model):
            raise DataError("llm2clip brings low-rank maps of its own; give another --tune than lora")
        add_lora(model, self.rank, 2 * self.rank, parts=(language_part(model),))

    def end(self, model: DualEncoder) -> None:
        """Merges them."""
        merge(model)

    def encode(self, model: DualEncoder, batch: Batch) -> Float[Tensor, "t d"]:
        """Runs the language model."""
        found: Tensor = language_model(model)(batch.captions.tokens).pooled
        return found

    def terms(self, outputs: Float[Tensor, "t d"], batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The loss over all captions that have another of their image. Raises DataError when none has."""
        owner, negative = batch.captions.owner, batch.captions.kind == Kind.NEGATIVE
        own = torch.arange(len(owner), device=owner.device) + (this_process() << 40)
        ids = torch.where(negative, -1 - own, batch.ids[owner])
        weights = torch.ones_like(batch.ids) if batch.weights is None else batch.weights
        with torch.autocast(batch.images.device.type, enabled=False):
            x = normalize(wide(outputs))
            itself = own[:, None] == gather(own)[None]
            belongs = ((ids[:, None] == gather(ids)[None]) & ~itself).to(x.dtype)
            scores = (self.scale * x @ gather(x).T).masked_fill(itself, torch.finfo(x.dtype).min / 2)
            asks = weights[owner].to(x.dtype) * (belongs.sum(1) > 0)
            if not bool(sum_over_processes(asks.sum()) > 0):
                raise DataError("llm2clip compares captions of one image: give --captions_per_image 2 or more")
            return {"captions": weighted_mean(row_losses(self.cost, scores, belongs), asks)}


class _Images(nn.Module):
    """InfoNCE between images and the adapted embeddings of a language model that does not learn."""

    requires: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.loss, self.similarity = build("infonce", PairLoss), build("cosine")

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Freezes the language model."""
        language_model(model).requires_grad_(False)

    def encode(self, model: DualEncoder, batch: Batch) -> Encoded:
        """Runs both towers."""
        return encoded(model, batch, tokens=False)

    def terms(self, outputs: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The contrastive loss under its one name."""
        left, right = sides(outputs, batch)
        return {"contrastive": contrast(left, right, self.similarity, self.loss, outputs.scale, outputs.bias)}


@implements(Schedule)
class LLM2CLIP(nn.Module):
    """Captions with captions, then images with captions.

    Args:
        rank: of the low-rank maps of the first stage.
        scale: factor on the cosines of captions (1 / temperature), fixed.
        first: the first stage's share of the budget, below 1.
    """

    requires = ("several captions",)

    def __init__(self, rank: int = 16, scale: float = 50.0, first: float = 0.25):
        super().__init__()
        self.rank, self.scale, self.first = rank, scale, first
        self.captions, self.images = _Captions(rank, scale), _Images()

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Both, in turn."""
        return Stage(self.captions, self.first), Stage(self.images, 1 - self.first)
