"""Pixels for a model's image tower, for objectives that run it by itself."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from dovetail.models.dual_encoder import DualEncoder


def normalised(
    model: DualEncoder, images: UInt8[Tensor, "b 3 h w"] | Float[Tensor, "b 3 h w"]
) -> Float[Tensor, "b 3 h w"]:
    """Bytes as the tower wants them; floats are that already."""
    return model.preprocessing.normalise(images) if images.dtype == torch.uint8 else images
