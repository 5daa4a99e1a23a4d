"""Transformers text: any text model of the transformers library, by name or folder.

Wolf et al., "Transformers: State-of-the-Art Natural Language Processing", 2020.

    tokens = last hidden states;   pooled = mean of the real tokens

Shapes: ids (t l) -> pooled (t d), tokens (t l d). `hf_text:PATH` opens a folder or a hub id with its weights; the
matching tokenizer is read from the same place. Remote code is never executed.
"""

from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
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
        self.origin = None if name is None else fetched(name)  # where the matching tokenizer lies
        self.body: Any
        if config is not None:
            self.body = AutoModel.from_config(AutoConfig.for_model(**config), trust_remote_code=False)
        else:
            self.body = AutoModel.from_pretrained(str(self.origin), trust_remote_code=False, use_safetensors=True)
        if hasattr(self.body, "pooler"):
            self.body.pooler = None  # BERT's head on the first token: unused here, and DDP refuses unused parameters
        # What is needed to make the tower again without the place that its weights came from.
        self.name, self.config = None, self.body.config.to_dict()
        self.config.pop("_name_or_path", None)
        self.vocabulary = int(self.body.config.vocab_size)
        self.width = self.token_width = int(self.body.config.hidden_size)

    def forward(self, x: Tokens) -> Features:
        """Token ids to one vector a text and one a token."""
        ids, mask = x.ids, x.mask
        if not len(ids):  # a piece of a batch may be without captions, which transformers cannot read
            ids, mask = ids.new_zeros(1, ids.shape[1]), mask.new_ones(1, ids.shape[1])
        tokens = self.body(input_ids=ids, attention_mask=mask.long()).last_hidden_state[: len(x.ids)]
        return Features(mean_pool(tokens, x.mask), tokens, x.mask)


def fetched(name: str) -> str:
    """The folder that `name` is, or where the hub's files of that id were put. Raises ValueError when there is
    neither."""
    if Path(name).is_dir():
        return name
    try:
        return str(snapshot_download(name, allow_patterns=["*.json", "*.txt", "*.model", "*.safetensors"]))
    except (OSError, ValueError) as error:  # offline, no such id, not of the form of an id
        raise ValueError(f"{name} is neither a folder nor a model that the hub hands out ({error})") from error
