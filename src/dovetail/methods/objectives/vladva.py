"""VladVA: a model that speaks of images learns to tell them apart, and does not forget to speak of them at length.

Ouali et al., "Discriminative Fine-tuning of LVLMs", 2024.

    L = InfoNCE(v(images), v(short captions)) + a S,    S: mean over tokens of long captions
                                                           of -log p(token | image, prompt, tokens before)

v: the language model's last state after an item and a prompt (`lvlm_image`, `lvlm_text`); both sides have one language
model, and only its low-rank maps, both sides' soft prompts and the scale learn. Long are captions of kind LONG, all
others are short; where a batch has none of one kind, both losses have all. No code of theirs was found. From
descriptions of the paper: which captions have which loss, soft prompts and LoRA. Unconfirmed, and ours: a = 1, the
rank, the prompts' words, that a long caption follows the image and its prompt, that low-rank maps lie in the language
model alone, and a temperature that learns from the usual start.

    --image "lvlm_image('FOLDER')" --text "lvlm_text('FOLDER')" --objective vladva

A prompt's text may hold a chat's template. The vectors are the states themselves: linear maps into a shared space are
removed. Hard negative captions are negatives.

Cost: beside the towers, the language model reads every caption after its image. Differs from `contrastive` in the
second loss and in what learns.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from dovetail.catalogue import build, implements
from dovetail.contracts import Batch, Features, Kind, Objective, PairLoss
from dovetail.data.records import DataError
from dovetail.models.contrasting import Encoded, sides
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.lora import add_lora, has_lora, merge
from dovetail.nn.lvlm import seen
from dovetail.ops.contrast import contrast
from dovetail.ops.distributed import sum_over_processes
from dovetail.ops.features import take, wide
from dovetail.ops.means import weighted_mean
from dovetail.ops.sides import Side


@dataclass(frozen=True)
class Spoken:
    """Both sides, and of each caption how unlikely its tokens were, together, and their number."""

    sides: Encoded
    surprise: Float[Tensor, " t"]
    length: Float[Tensor, " t"]


@implements(Objective)
class VladVA(nn.Module):
    """InfoNCE with short captions and next-token prediction of long ones.

    Args:
        rank: of the low-rank maps; None: all of the model learns, as one with new weights must.
        speaking: weight of the second loss.
        image_prompt: what the soft prompts around an image, which stands for {}, begin as.
        text_prompt: the same of a text.
    """

    requires = ()
    towers = ("lvlm_image", "lvlm_text")

    def __init__(
        self,
        rank: int | None = 16,
        speaking: float = 1.0,
        image_prompt: str = "{} Summarize the image in one word:",
        text_prompt: str = "{} Summarize the text in one word:",
    ):
        super().__init__()
        self.rank, self.speaking, self.image_prompt, self.text_prompt = rank, speaking, image_prompt, text_prompt
        self.loss, self.similarity = build("infonce", PairLoss), build("cosine")

    def begin(self, model: DualEncoder, captions: Iterable[str]) -> None:
        """One language model for both sides, prompts of words, low-rank maps. Raises DataError for other towers."""
        image, text = _towers(model)
        image.soft.language = text.soft.language
        for tower, prompt, first in ((image, self.image_prompt, True), (text, self.text_prompt, False)):
            tower.soft.start(*_ids(model, prompt, first))
        model.image_projection, model.text_projection = nn.Identity(), nn.Identity()
        model.projected, model.embed_dim = False, image.width
        if text.out is not None:  # of no use but here
            text.out.requires_grad_(True)
        if self.rank is not None:
            if has_lora(model):
                raise DataError("vladva brings low-rank maps of its own; give another --tune than lora")
            add_lora(model, self.rank, parts=("image.soft.language",))
            for p in (image.soft.before, image.soft.after, text.soft.before, text.soft.after, model.log_scale):
                p.requires_grad_(p.numel() > 0)

    def end(self, model: DualEncoder) -> None:
        """Merges the maps."""
        if has_lora(model):
            merge(model)

    def encode(self, model: DualEncoder, batch: Batch) -> Spoken:
        """Both towers, and each image once more with its captions after it."""
        image, text = _towers(model)
        pixels, tokens, owner = batch.images, batch.captions.tokens, batch.captions.owner
        shown = seen(image.eyes, model.preprocessing.normalise(pixels) if pixels.dtype == torch.uint8 else pixels)
        whole = torch.ones(shown.shape[:2], dtype=torch.bool, device=shown.device)
        images = Features(model.image_projection(image.soft(shown, whole)[0]))
        both = Encoded(images, model.text_features(tokens), model.scale, model.bias)
        none = len(owner) == 0  # every piece of a batch must use all parameters
        ids, mask = (x.new_zeros(1, 1) if none else x for x in (tokens.ids, tokens.mask))
        said = text.head(image.soft.continued(shown[:1] if none else shown[owner], text.soft.embed(ids), mask))
        with torch.autocast(pixels.device.type, enabled=False):
            told = mask & (ids != (-1 if model.tokenizer.bos is None else model.tokenizer.bos))
            surprise = (F.cross_entropy(wide(said).transpose(1, 2), ids, reduction="none") * told).sum(1)
        length = told.sum(1).to(surprise.dtype)
        return Spoken(both, surprise[: len(owner)], length[: len(owner)])

    def terms(self, outputs: Spoken, batch: Batch) -> Mapping[str, Float[Tensor, ""]]:
        """Both losses, the second weighted."""
        kind, owner = batch.captions.kind, batch.captions.owner
        true = kind != Kind.NEGATIVE
        long, short = _some(kind == Kind.LONG, true), _some(true & (kind != Kind.LONG), true)
        images, texts = sides(outputs.sides, batch)
        columns = (short | ~true).nonzero()[:, 0]
        asked = torch.zeros_like(images.weights).index_add(0, owner, short.to(images.weights.dtype)) > 0
        left = replace(images, weights=images.weights * asked)
        right = Side(take(texts.features, columns), texts.ids[columns], texts.weights[columns])
        scale, bias = outputs.sides.scale, outputs.sides.bias
        weights = outputs.length * texts.weights.to(outputs.length.dtype) * long
        spoken = weighted_mean(outputs.surprise / outputs.length.clamp_min(1), weights)
        return {
            "contrastive": contrast(left, right, self.similarity, self.loss, scale, bias),
            "next token": self.speaking * spoken,
        }


def _some(wanted: Bool[Tensor, " t"], true: Bool[Tensor, " t"]) -> Bool[Tensor, " t"]:
    """The captions wanted; all true ones where no process has any."""
    return torch.where(sum_over_processes(wanted.sum()) > 0, wanted, true)


def _towers(model: DualEncoder) -> tuple[Any, Any]:
    image: Any = model.image
    text: Any = model.text
    if not (hasattr(image, "eyes") and hasattr(text, "soft")):
        raise DataError("vladva tunes a vision-language model: give --image lvlm_image(...) and --text lvlm_text(...)")
    return image, text


def _ids(model: DualEncoder, prompt: str, first: bool) -> tuple[Tensor, Tensor]:
    """The tokens before and after the {} of a prompt; first: with the one that begins a text. Raises DataError for a
    prompt without {}."""
    before, braces, after = prompt.partition("{}")
    if not braces:
        raise DataError(f"the prompt {prompt!r} has no {{}}, where the image or the text is to stand")
    tokenizer = model.tokenizer
    plain = [[i for i in _of(model, text) if i not in (tokenizer.bos, tokenizer.eos)] for text in (before, after)]
    begun = [tokenizer.bos] if first and tokenizer.bos is not None else []
    device = model.log_scale.device
    return torch.tensor(begun + plain[0], dtype=torch.int64, device=device), torch.tensor(
        plain[1], device=device
    ).long()


def _of(model: DualEncoder, text: str) -> list[int]:
    return [int(i) for i in model.tokenizer([text]).ids[0]] if text.strip() else []
