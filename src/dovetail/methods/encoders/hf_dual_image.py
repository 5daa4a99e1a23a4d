"""Transformers dual, image: the image half of a dual model of the transformers library, from its configuration.

Wolf et al., "Transformers: State-of-the-Art Natural Language Processing", 2020.

    tokens = last hidden states;   pooled = projection(the family's pooling of them)

Shapes: images (b 3 h w) -> pooled (b e), tokens (b n d), a class token included where the family has one. Of ALIGN,
AltCLIP, Chinese-CLIP, GroupViT and any two models that somebody joined (VisionTextDualEncoder); the numbers are those
of their `get_image_features`. The vectors lie in the shared space: the dual encoder adds no map of its own. Differs
from `timm` in the projection and in where the weights come from. Remote code is never executed.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features
from dovetail.nn.hf_dual import as_json, family_of, made


@implements(Encoder)
class HFDualImage(nn.Module):
    """An image tower from transformers, with its projection.

    Args:
        dual: the whole dual model's configuration as a dictionary.
    """

    def __init__(self, dual: dict[str, Any]):
        super().__init__()
        whole, half = made(dual), family_of(dual).image
        self.dual = as_json(whole.config)
        self.body: Any
        self.body, self.projection = half.of(whole)
        self.token_width = half.token_width(self.body)
        self.width = self.token_width if half.projection is None else int(whole.config.projection_dim)
        stated = getattr(whole.config.vision_config, "image_size", None) or 224  # a convolutional body reads any size
        self.size = int(stated if isinstance(stated, int) else stated[0])

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Features:
        """Normalised pixels to one vector an image and one a token."""
        found = self.body(pixel_values=x)
        vectors, states = self.projection(family_of(self.dual).image.pool(found)), found.last_hidden_state
        if states.ndim == 3:
            return Features(vectors, states)
        return Features(vectors, states.flatten(2).transpose(1, 2), grid=(states.shape[2], states.shape[3]))
