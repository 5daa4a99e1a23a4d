"""A model that another learns from: it says what it makes of the other's batches, and learns nothing itself.

    teacher = FrozenTeacher.named("runs/clip", model)      # a trained model, of any layout that `dovetail.load` opens
    teacher = FrozenTeacher.copy_of(model)                 # the model as it is now
    teacher.text_features(batch.captions.tokens)

What the teacher is shown is what the pupil sees: the same crop, resized and normalised as the teacher wants it; the
words that the pupil's context had room for, as the pupil's tokenizer spells them, in the teacher's tokens.
"""

import copy
from typing import Any, Self

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from dovetail.contracts import Features, Tokens
from dovetail.data.text import Tokenizer
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.pretrained import load
from dovetail.ops.features import take


class FrozenTeacher(nn.Module):
    """Features of a model that does not learn. An objective makes it in `begin` and holds it, so that it moves and is
    checkpointed with the run, but is neither optimised nor part of the model that is kept.

    Args:
        model: the teacher, which is taken over: frozen, and in evaluation mode for good.
        pupil: the model whose batches it is shown.
    """

    def __init__(self, model: DualEncoder, pupil: DualEncoder):
        super().__init__()
        self.model = model.requires_grad_(False)
        self.preprocessing, self.tokenizer = pupil.preprocessing, pupil.tokenizer
        self._same_tokens = _told(model.tokenizer) == _told(pupil.tokenizer)
        self.train(False)

    @classmethod
    def named(cls, name: str, pupil: DualEncoder) -> Self:
        """A trained model by its folder, file or hub id, in the pupil's precision. Raises CheckpointError when there is
        none."""
        return cls(load(name).to(pupil.log_scale), pupil)

    @classmethod
    def copy_of(cls, model: DualEncoder) -> Self:
        """The model as it is now."""
        return cls(copy.deepcopy(model), model)

    def train(self, mode: bool = True) -> Self:
        """Stays in evaluation mode, whatever the run does."""
        return super().train(False)

    @torch.no_grad()
    def image_features(self, images: Tensor, tokens: bool = False) -> Features:
        """Of the pupil's images (b 3 h w), bytes or normalised as the pupil wants them; see DualEncoder."""
        return self.model.image_features(self._pixels(images), tokens)

    @torch.no_grad()
    def text_features(self, texts: Tokens, tokens: bool = False) -> Features:
        """Of the pupil's tokens; see DualEncoder. Those of another tokenizer are written out and read again, for which
        the step waits for the device."""
        if self._same_tokens:
            return self.model.text_features(texts, tokens)
        rows = zip(texts.ids.cpu(), texts.mask.cpu(), strict=True)
        written = [self.tokenizer.decode(ids[real]) for ids, real in rows]
        read = self.model.tokenizer(written or [""]).to(texts.ids.device)
        return take(self.model.text_features(read, tokens), torch.arange(len(written)))

    def _pixels(self, images: UInt8[Tensor, "b 3 h w"] | Float[Tensor, "b 3 h w"]) -> Tensor:
        given, wanted = self.preprocessing, self.model.preprocessing
        if (images.shape[-1], given.mean, given.std) == (wanted.size, wanted.mean, wanted.std):
            return images
        x = given.normalise(images) if images.dtype == torch.uint8 else images
        x = x * _channels(given.std, x) + _channels(given.mean, x)
        if x.shape[-1] != wanted.size:
            x = F.interpolate(x, (wanted.size, wanted.size), mode="bicubic", antialias=True).clamp(0, 1)
        return (x - _channels(wanted.mean, x)) / _channels(wanted.std, x)


def _channels(values: tuple[float, float, float], like: Tensor) -> Float[Tensor, "3 1 1"]:
    return like.new_tensor(values).view(3, 1, 1)


def _told(tokenizer: Tokenizer) -> tuple[Any, ...]:
    """All that a text's ids depend on."""
    t = tokenizer
    return t.backend.to_str(), t.context, t.pad, t.bos, t.eos, t.fill
