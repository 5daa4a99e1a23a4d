"""Transformers text: any text model of the transformers library, by name or folder.

Wolf et al., "Transformers: State-of-the-Art Natural Language Processing", 2020.

    tokens = last hidden states;   pooled = the mean of the real tokens, or what else `pool` says

Shapes: ids (t l) -> pooled (t d), tokens (t l d). `hf_text:PATH` opens a folder or a hub id with its weights; the
matching tokenizer is read from the same place. Remote code is never executed.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from jaxtyping import Bool
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features, Tokens
from dovetail.nn.head import Head
from dovetail.nn.transformer import last_token, mean_pool

Pooled = Callable[[Any, Bool[Tensor, "t l"]], Tensor]
POOLS: dict[str, Pooled] = {  # of what the model gives
    "mean": lambda found, mask: mean_pool(found.last_hidden_state, mask),
    "max": lambda found, mask: found.last_hidden_state.masked_fill(~mask[..., None], -torch.inf).amax(1),
    "first": lambda found, mask: found.last_hidden_state[:, 0],
    "last": lambda found, mask: last_token(found.last_hidden_state, mask),
    "pooler": lambda found, mask: found.pooler_output,
}


@implements(Encoder)
class HFText(nn.Module):
    """A text tower from transformers.

    Args:
        name: a folder or hub id whose weights to start from; None with `config`.
        config: the model's configuration as a dictionary, for a tower whose weights come from elsewhere.
        pool: mean, max, first or last (of the real tokens; a causal language model's last has seen all), or pooler
            (BERT's head on the first token).
        hidden: length of a hidden layer without a bias after the pooling, with a GELU; None: without.
        out: how many numbers a linear map of the pooled vector gives, and whether it has a bias; None: no such map.
    """

    def __init__(
        self,
        name: str | None = None,
        config: dict[str, Any] | None = None,
        pool: str = "mean",
        hidden: int | None = None,
        out: Sequence[int] | None = None,
    ):
        super().__init__()
        if (name is None) == (config is None):
            raise ValueError("hf_text takes either the name of a model or its config")
        if pool not in POOLS:
            raise ValueError(f"pool must be one of {', '.join(POOLS)}, not {pool!r}")
        self.origin = None if name is None else fetched(name)  # where the matching tokenizer lies
        whole: Any
        if config is not None:
            whole = AutoModel.from_config(AutoConfig.for_model(**config), trust_remote_code=False)
        else:
            how = {"trust_remote_code": False, "use_safetensors": True, "dtype": torch.float32}
            whole = AutoModel.from_pretrained(str(self.origin), **how)
        # What is needed to make the tower again without the place that its weights came from.
        self.name, self.config = None, whole.config.to_dict()
        self.config.pop("_name_or_path", None)
        self.body: Any = whole.get_encoder() if getattr(whole.config, "is_encoder_decoder", False) else whole
        if pool != "pooler" and hasattr(self.body, "pooler"):
            self.body.pooler = None  # unused here, and DDP refuses unused parameters
        self.pool, self.hidden, self.out = pool, hidden, out
        self.vocabulary = int(whole.config.vocab_size)
        self.token_width = int(whole.config.hidden_size)
        self.head = Head(self.token_width, out, hidden, hidden_bias=False)
        self.width = self.head.width

    def forward(self, x: Tokens) -> Features:
        """Token ids to one vector a text and one a token."""
        ids, mask = x.ids, x.mask
        if not ids.shape[0]:  # a piece of a batch may be without captions, which transformers cannot read
            ids, mask = ids.new_zeros(1, ids.shape[1]), mask.new_ones(1, ids.shape[1])
        found = self.body(input_ids=ids, attention_mask=mask.long())
        pooled = self.head(POOLS[self.pool](found, mask))
        return Features(pooled[: x.ids.shape[0]], found.last_hidden_state[: x.ids.shape[0]], x.mask)


def fetched(name: str) -> str:
    """The folder that `name` is, or where the hub's files of that id were put. Raises ValueError when there is
    neither."""
    if Path(name).is_dir():
        return name
    try:
        return str(snapshot_download(name, allow_patterns=["*.json", "*.txt", "*.model", "*.safetensors"]))
    except (OSError, ValueError) as error:  # offline, no such id, not of the form of an id
        raise ValueError(f"{name} is neither a folder nor a model that the hub hands out ({error})") from error
