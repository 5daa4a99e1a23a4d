"""timm: any of the image models of the timm library, by its name there.

Wightman, "PyTorch Image Models", 2019.

    tokens = features of the model's last layer;   pooled = the model's own pooling of them, or another of its

Shapes: images (b 3 h w) -> pooled (b d), tokens (b n d). `timm:resnet18`, `timm:vit_small_patch16_224`, ... With
`pretrained=True` timm fetches the weights from the hub.
"""

import difflib
from collections.abc import Sequence
from typing import Any

import timm
import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features
from dovetail.nn.head import Head


@implements(Encoder)
class Timm(nn.Module):
    """An image tower from timm.

    Args:
        name: a model's name in timm; `timm.list_models()` has them all.
        size: height and width of the images in pixels; None: what the model was made for.
        pretrained: start from timm's weights instead of random ones.
        pool: the pooling that the model is made with (avg, token, map, ...), as its `global_pool`; None: its own.
        repool: the pooling that it is given when it is made, all else of it staying as it was; None: none.
        hidden: length of a hidden layer after the pooling, with a GELU; None: without.
        out: how many numbers a linear map of the pooled vector gives, and whether it has a bias; None: no such map.
    """

    def __init__(
        self,
        name: str,
        size: int | None = None,
        pretrained: bool = False,
        pool: str | None = None,
        repool: str | None = None,
        hidden: int | None = None,
        out: Sequence[int] | None = None,
    ):
        super().__init__()
        if not timm.is_model(name.partition(".")[0]):
            near = difflib.get_close_matches(name, timm.list_models(), n=3)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise ValueError(f"timm has no model called {name!r}{hint}")
        self.name, self.pool, self.repool, self.hidden, self.out = name, pool, repool, hidden, out
        declared: Any = timm.get_pretrained_cfg(name, allow_unregistered=True)
        self.size = size or int(declared.input_size[-1])
        # Convolutions are faster with the channels last in memory; transformers do not care.
        self.body = body = _create(name, self.size, pretrained, pool).to(memory_format=torch.channels_last)
        if repool is not None:
            body.reset_classifier(0, global_pool=repool)
        self.normalisation = tuple(declared.mean), tuple(declared.std)
        self.pretrained = False  # the weights come from the checkpoint when the tower is made again
        self.token_width = int(body.num_features)
        self.head = Head(int(getattr(body, "head_hidden_size", None) or self.token_width), out, hidden)
        self.width = self.head.width

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Features:
        """Normalised pixels to one vector an image and one a place of the last layer."""
        found = self.body.forward_features(x.contiguous(memory_format=torch.channels_last))
        pooled = self.head(self.body.forward_head(found, pre_logits=True))
        if found.ndim == 3:
            return Features(pooled, found)
        last = found if found.shape[-1] == self.token_width else found.permute(0, 2, 3, 1)
        return Features(pooled, last.flatten(1, 2), grid=(last.shape[1], last.shape[2]))


def _create(name: str, size: int, pretrained: bool, pool: str | None) -> Any:
    pooling: dict[str, Any] = {} if pool is None else {"global_pool": pool}
    try:
        return timm.create_model(name, pretrained=pretrained, num_classes=0, img_size=size, **pooling)
    except TypeError:  # convolutional models take no size: they read any
        return timm.create_model(name, pretrained=pretrained, num_classes=0, **pooling)
