"""LVLM image: a generative vision-language model reads an image and a prompt; its last state is the image's vector.

Ouali et al., "Discriminative Fine-tuning of LVLMs", 2024.

    v = last state of  language model([soft prompt] [projected patches] [soft prompt])

Shapes: images (b 3 h w) -> pooled (b d), tokens (b n d): the states of the patches. `lvlm_image('FOLDER')` opens a
folder or a hub id of transformers with its weights: LLaVA or PaliGemma. The prompts are learnt vectors, which the
objective `vladva` begins as those of a text. Remote code is never executed. Differs from `timm` and `vit` in that a
language model has the last word.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features
from dovetail.models.pretrained import located
from dovetail.nn.lvlm import Prompted, freeze_idle, seen, stated, whole_model


@implements(Encoder)
class LVLMImage(nn.Module):
    """An image tower of a vision-language model.

    Args:
        name: a folder or hub id whose weights to start from; None with `lvlm`.
        lvlm: the model's configuration as a dictionary.
        prompt: how many vectors the soft prompts before and after the image have.
    """

    def __init__(self, name: str | None = None, lvlm: dict[str, Any] | None = None, prompt: Sequence[int] = (1, 8)):
        super().__init__()
        whole = whole_model(None if name is None else str(located(name)), lvlm)
        self.name, self.lvlm = None, stated(whole)
        self.size = int(whole.config.vision_config.image_size)
        self.eyes: Any = whole.model
        freeze_idle(self.eyes, self.size)
        self.soft = Prompted(self.eyes.language_model, prompt)
        del self.eyes.language_model  # it lies in the other
        self.soft.language.get_input_embeddings().requires_grad_(False)  # an image has no words
        self.width = self.token_width = int(self.soft.language.config.hidden_size)

    @property
    def prompt(self) -> list[int]:
        """How many vectors the soft prompts have."""
        return [len(self.soft.before), len(self.soft.after)]

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Features:
        """Normalised pixels to one vector an image and one a patch."""
        shown = seen(self.eyes, x)
        return Features(*self.soft(shown, torch.ones(shown.shape[:2], dtype=torch.bool, device=x.device)))
