"""Transformers dual, text: the text half of a dual model of the transformers library, from its configuration.

Wolf et al., "Transformers: State-of-the-Art Natural Language Processing", 2020.

    tokens = last hidden states;   pooled = projection(the family's pooling of them)

Shapes: ids (t l) -> pooled (t e), tokens (t l d). Of ALIGN, AltCLIP, Chinese-CLIP, GroupViT and any two models that
somebody joined (VisionTextDualEncoder); the numbers are those of their `get_text_features`. The vectors lie in the
shared space: the dual encoder adds no map of its own. Differs from `hf_text` in the family's own pooling and
projection. Remote code is never executed.
"""

from typing import Any

import torch
from torch import nn

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features, Tokens
from dovetail.nn.hf_dual import as_json, family_of, made


@implements(Encoder)
class HFDualText(nn.Module):
    """A text tower from transformers, with its projection.

    Where the family learns a temperature, `temperature` keeps it as it was stored, for the logarithm that the dual
    encoder learns does not give it back to the last bit.

    Args:
        dual: the whole dual model's configuration as a dictionary.
    """

    temperature: torch.Tensor | None

    def __init__(self, dual: dict[str, Any]):
        super().__init__()
        whole, family = made(dual), family_of(dual)
        self.dual = as_json(whole.config)
        self.body: Any
        self.body, self.projection = family.text.of(whole)
        self.token_width, self.width = family.text.token_width(self.body), int(whole.config.projection_dim)
        held = whole.temperature.detach().clone() if family.scale == "temperature" else None
        self.register_buffer("temperature", held)
        words = whole.config.text_config
        self.vocabulary, self.pad = int(words.vocab_size), int(words.pad_token_id or 0)

    def forward(self, x: Tokens) -> Features:
        """Token ids to one vector a text and one a token."""
        ids, mask = x.ids.masked_fill(~x.mask, self.pad), x.mask  # some bodies look for the highest id, or count by it
        if not ids.shape[0]:  # a piece of a batch may be without captions, which transformers cannot read
            ids, mask = ids.new_zeros(1, ids.shape[1]), mask.new_ones(1, ids.shape[1])
        found = self.body(input_ids=ids, attention_mask=mask.long())
        vectors = self.projection(family_of(self.dual).text.pool(found))
        return Features(vectors[: x.ids.shape[0]], found.last_hidden_state[: x.ids.shape[0]], x.mask)
