"""CLoVe: fine-tuned on false captions, then drawn back part of the way to what it was, a model forgets little.

Castro et al., "CLoVe: Encoding Compositional Language in Contrastive Vision-Language Models", 2024.

    fine-tuning: L = (L_image->text + L_text->image) / 2, with the false captions as further columns of image->text
    patching:    theta = (1 - alpha) theta_before + alpha theta_tuned

Confirmed against the authors' code: both, false captions as in NegCLIP, alpha = 0.6, and that every number of the model
is drawn back, its learnt scale too. False captions are of kind NEGATIVE: `dovetail curate clove` makes them. The
paper's true captions are synthetic, of LAION-COCO; here those that the data has. Low-rank maps (`--tune lora`) are
drawn back as their product is.

    dovetail train --model openai/clip-vit-base-patch32 --objective clove --data negatives.jsonl --out runs/clove

A run from scratch needs weights to be drawn back to: `clove(before=0.5)` pre-trains without false captions for half of
the budget. The paper begins with a trained CLIP instead. Differs from `negclip` in the patching, and from `--wise`,
which draws any run back, in that it begins where the false captions do. Figures during the run are of the tuned model,
the model that is kept is the patched one.
"""

import copy
from collections.abc import Iterable, Mapping

from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Kind, PairLoss, Schedule, Stage
from dovetail.models.contrasting import Encoded, encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.interpolation import draw_back
from dovetail.ops.contrast import contrast


class _Before(nn.Module):
    """The contrastive loss over true captions."""

    requires: tuple[str, ...] = ()

    def __init__(self, loss: PairLoss):
        super().__init__()
        self.loss, self.similarity = loss, build("cosine")

    def encode(self, model: DualEncoder, batch: Batch) -> Encoded:
        """Runs both towers."""
        return encoded(model, batch, tokens=False)

    def terms(self, outputs: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The contrastive loss under its one name."""
        left, right = sides(outputs, batch)
        right = right.only(batch.captions.kind != Kind.NEGATIVE)
        return {"contrastive": contrast(left, right, self.similarity, self.loss, outputs.scale, outputs.bias)}


class _Tuned(_Before):
    """The contrastive loss over true and false captions; at its end the model goes back some of the way."""

    requires: tuple[str, ...] = ("negative captions",)

    def __init__(self, loss: PairLoss, alpha: float):
        super().__init__(loss)
        self.alpha = alpha

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """Keeps the model as it is now; with the run's checkpoints, for a resumed run begins with other weights."""
        self.start = copy.deepcopy(model).requires_grad_(False)

    def end(self, model: DualEncoder) -> None:
        """Patches it. Of a product of low-rank maps, which was zero, one factor is drawn back."""
        start = {name: x for name, x in self.start.state_dict().items() if ".lora_A." not in name}
        draw_back(model, start, self.alpha)

    def terms(self, outputs: Encoded, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """The contrastive loss under its one name."""
        left, right = sides(outputs, batch)
        return {"contrastive": contrast(left, right, self.similarity, self.loss, outputs.scale, outputs.bias)}


@implements(Schedule)
class CLoVe(nn.Module):
    """Fine-tuning on false captions, and the way back; before it pre-training, where asked for.

    Args:
        alpha: where the model ends between what it was (0) and what fine-tuning made of it (1).
        before: the share of the budget that pre-trains, below 1; 0 for a model that is trained.
        loss: what one row of scores costs; None: InfoNCE, as in the paper.
    """

    requires = ("negative captions",)

    def __init__(self, alpha: float = 0.6, before: float = 0.0, loss: PairLoss | None = None):
        super().__init__()
        if not (0 <= alpha <= 1 and 0 <= before < 1):
            raise ValueError(f"alpha={alpha} must lie in 0..1, and before={before} be at least 0 and below 1")
        self.alpha, self.before = alpha, before
        self.loss: PairLoss = loss or build("infonce", PairLoss)
        self.similarity = build("cosine")
        self.first, self.second = _Before(self.loss), _Tuned(self.loss, alpha)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Fine-tuning, after pre-training where there is any."""
        first = (Stage(self.first, self.before),) if self.before else ()
        return (*first, Stage(self.second, 1 - self.before))
