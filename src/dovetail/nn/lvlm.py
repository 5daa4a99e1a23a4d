"""A generative vision-language model of the transformers library as an encoder: its language model reads an item
between two soft prompts, and what it says after the last is the item's vector.

Wolf et al., "Transformers: State-of-the-Art Natural Language Processing", 2020; soft prompts: Lester et al., "The Power
of Scale for Parameter-Efficient Prompt Tuning", 2021.

Families whose images are plain squares of pixels and whose `get_image_features` gives one row of vectors an image, such
as LLaVA and PaliGemma; others, which cut images or number their positions in two directions, are refused.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForImageTextToText

from dovetail.nn.hf_dual import as_json

FAMILIES = ("llava", "paligemma")


def whole_model(name: str | None, config: Mapping[str, Any] | None) -> Any:
    """The model of a folder, with its weights, or of a configuration, with new ones. Remote code is never executed.

    Raises ValueError for neither or both, and for a family that is not in FAMILIES.
    """
    if (name is None) == (config is None):
        raise ValueError("give either the name of a vision-language model or its config")
    if config is not None:
        held = AutoConfig.for_model(**config)
    else:
        held = AutoConfig.from_pretrained(str(name), trust_remote_code=False)
    if held.model_type not in FAMILIES:
        raise ValueError(f"model_type must be one of {', '.join(FAMILIES)}, not {held.model_type!r}")
    if config is not None:
        return AutoModelForImageTextToText.from_config(held, trust_remote_code=False)
    how = {"trust_remote_code": False, "use_safetensors": True, "dtype": torch.float32}
    return AutoModelForImageTextToText.from_pretrained(str(name), **how)


def stated(whole: Any) -> dict[str, Any]:
    """The model's configuration as values for `json.dump`."""
    return as_json(whole.config)


def seen(body: Any, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b n d"]:
    """What the language model is shown of normalised images."""
    return torch.stack(list(body.get_image_features(pixel_values=images).pooler_output))


@torch.enable_grad()
def freeze_idle(body: Any, size: int) -> None:
    """Parameters of the image side that nothing depends on, such as layers above the one that is read, learn nothing:
    DDP refuses parameters that it waits for in vain."""
    shown = seen(body, torch.zeros(1, 3, size, size, dtype=next(body.parameters()).dtype))
    side = [p for name, p in body.named_parameters() if not name.startswith("language_model.")]
    for p, gradient in zip(side, torch.autograd.grad(shown.sum(), side, allow_unused=True), strict=True):
        p.requires_grad_(gradient is not None)


class Prompted(nn.Module):
    """A causal language model that reads vectors between two soft prompts.

    Args:
        language: the model, without its head.
        lengths: how many vectors the prompts before and after have.
    """

    def __init__(self, language: Any, lengths: Sequence[int]):
        super().__init__()
        self.language = language
        width = int(language.config.hidden_size)
        self.before, self.after = (_prompt(0.02 * torch.randn(int(n), width)) for n in lengths)

    def embed(self, ids: Int[Tensor, "t l"]) -> Float[Tensor, "t l d"]:
        """The language model's own vectors of tokens."""
        found: Tensor = self.language.get_input_embeddings()(ids)
        return found

    def start(self, before: Int[Tensor, " p"], after: Int[Tensor, " q"]) -> None:
        """Makes the prompts those of these tokens."""
        with torch.no_grad():
            self.before, self.after = (_prompt(self.embed(ids[None])[0].clone()) for ids in (before, after))

    def forward(
        self, x: Float[Tensor, "b n d"], mask: Bool[Tensor, "b n"]
    ) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b n d"]]:
        """The last state of each item, and those of its own vectors. The second prompt follows the last real one."""
        (b, n, _), p, q = x.shape, len(self.before), len(self.after)
        ends = p + mask.sum(1)
        frame = torch.cat([_rows(self.before, x), x, x.new_zeros(b, q, x.shape[2])], 1)
        at = ends[:, None] + torch.arange(q, device=x.device)
        frame = frame.scatter(1, at[..., None].expand(-1, -1, x.shape[2]), _rows(self.after, x))
        states = self._states(frame, torch.arange(p + n + q, device=x.device) < ends[:, None] + q)
        return states[torch.arange(b, device=x.device), ends + q - 1], states[:, p : p + n]

    def continued(
        self, x: Float[Tensor, "b n d"], then: Float[Tensor, "b l d"], mask: Bool[Tensor, "b l"]
    ) -> Float[Tensor, "b l d"]:
        """The states from which each of the vectors `then`, after x and both prompts, is to be predicted."""
        frame = torch.cat([_rows(self.before, x), x, _rows(self.after, x), then.to(x.dtype)], 1)
        real = torch.cat([mask.new_ones(len(x), frame.shape[1] - mask.shape[1]), mask], 1)
        return self._states(frame, real)[:, -1 - then.shape[1] : -1]

    def _states(self, frame: Tensor, mask: Tensor) -> Tensor:
        found: Tensor = self.language(inputs_embeds=frame, attention_mask=mask.long()).last_hidden_state
        return found


def _prompt(vectors: Float[Tensor, "p d"]) -> nn.Parameter:
    return nn.Parameter(vectors, requires_grad=len(vectors) > 0)


def _rows(prompt: Float[Tensor, "p d"], x: Float[Tensor, "b n d"]) -> Float[Tensor, "b p d"]:
    return prompt.to(x.dtype).expand(len(x), -1, -1)
