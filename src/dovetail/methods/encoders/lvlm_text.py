"""LVLM text: the language model of a vision-language model reads a text and a prompt; its last state is the vector.

Ouali et al., "Discriminative Fine-tuning of LVLMs", 2024.

    v = last state of  language model([soft prompt] [text] [soft prompt])

Shapes: ids (t l) -> pooled (t d), tokens (t l d): the states of the text's tokens. `lvlm_text('FOLDER')` opens a
folder or a hub id of transformers with its weights and brings its tokenizer; see `lvlm_image`, whose language model the
objective `vladva` makes this one. `head` gives the logarithms, up to a constant, of the next token's probabilities.
Differs from `hf_text` with `pool="last"` in the prompts.
"""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features, Tokens
from dovetail.models.pretrained import located
from dovetail.nn.lvlm import Prompted, stated, whole_model


@implements(Encoder)
class LVLMText(nn.Module):
    """A text tower of a vision-language model.

    Args:
        name: a folder or hub id whose weights to start from; None with `lvlm`.
        lvlm: the model's configuration as a dictionary.
        prompt: how many vectors the soft prompts before and after the text have.
    """

    def __init__(self, name: str | None = None, lvlm: dict[str, Any] | None = None, prompt: Sequence[int] = (0, 8)):
        super().__init__()
        self.origin = None if name is None else str(located(name))  # where the matching tokenizer lies
        whole = whole_model(self.origin, lvlm)
        self.name, self.lvlm = None, stated(whole)
        self.soft = Prompted(whole.model.language_model, prompt)
        words = self.soft.language.get_input_embeddings().weight
        out = whole.get_output_embeddings()
        self.out = None if out.weight is words else out.requires_grad_(False)  # the vector does not depend on it
        self.vocabulary = len(words)
        self.width = self.token_width = int(self.soft.language.config.hidden_size)

    @property
    def prompt(self) -> list[int]:
        """How many vectors the soft prompts have."""
        return [len(self.soft.before), len(self.soft.after)]

    def forward(self, x: Tokens) -> Features:
        """Token ids to one vector a text and one a token."""
        ids, mask = x.ids, x.mask
        if not ids.shape[0]:  # a piece of a batch may be without captions, which transformers cannot read
            ids, mask = ids.new_zeros(1, ids.shape[1]), mask.new_ones(1, ids.shape[1])
        pooled, tokens = self.soft(self.soft.embed(ids), mask)
        return Features(pooled[: x.ids.shape[0]], tokens[: x.ids.shape[0]], x.mask)

    def head(self, states: Float[Tensor, "*n d"]) -> Float[Tensor, "*n v"]:
        """What the language model expects next."""
        if self.out is None:
            return F.linear(states, self.soft.language.get_input_embeddings().weight)
        found: Tensor = self.out(states)
        return found
