"""Transformers text: any text model of the transformers library, by name or folder.

Wolf et al., "Transformers: State-of-the-Art Natural Language Processing", 2020.

    tokens = last hidden states;   pooled = mean of the real tokens

Shapes: ids (t l) -> pooled (t d), tokens (t l d). `hf_text:PATH` opens a folder or a hub id with its weights; the matching
tokenizer is read from the same place. Remote code is never executed.
"""

from typing import Any

from torch import nn
from transformers import AutoConfig, AutoModel

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features, Tokens
from dovetail.nn.transformer import mean_pool


@implements(Encoder)
class HFText(nn.Module):
    """A text tower from transformers.

    Args:
        name: a folder or hub id whose weights to start from; None with `config`.
        config: the model's configuration as a dictionary, for a tower whose weights come from elsewhere.
    """

    def __init__(self, name: str | None = None, config: dict[str, Any] | None = None):
        super().__init__()
        if (name is None) == (config is None):
            raise ValueError("hf_text takes either the name of a model or its config")
        if config is None:
            self.body = AutoModel.from_pretrained(name, trust_remote_code=False)
        else:
            self.body = AutoModel.from_config(AutoConfig.for_model(**config), trust_remote_code=False)
        if hasattr(self.body, "pooler"):
            self.body.pooler = None  # BERT's head on the first token: unused here, and DDP refuses unused parameters
        # What is needed to make the tower again without the place that its weights came from.
        self.name, self.config = None, self.body.config.to_dict()
        self.width = self.token_width = int(self.body.config.hidden_size)

    def forward(self, x: Tokens) -> Features:
        """Token ids to one vector a text and one a token."""
        tokens = self.body(input_ids=x.ids, attention_mask=x.mask.long()).last_hidden_state
        return Features(mean_pool(tokens, x.mask), tokens, x.mask)
