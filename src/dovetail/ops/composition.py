"""Queries of several parts: an image and what shall be different about it, say.

Jia et al., "Scaling Up Visual and Vision-Language Representation Learning With Noisy Text Supervision", 2021.
"""

from jaxtyping import Float
from torch import Tensor

from dovetail.ops.similarity import normalize


def added(images: Float[Tensor, "#n d"], texts: Float[Tensor, "#n d"], weight: float = 1.0) -> Float[Tensor, "#n d"]:
    """unit(unit(image) + weight unit(text)): the gallery's items nearest to it are like the image and as the text says.

    weight: how much the text counts; below 0 it says what shall be gone. One image or text may serve for many.
    """
    return normalize(normalize(images) + weight * normalize(texts))
