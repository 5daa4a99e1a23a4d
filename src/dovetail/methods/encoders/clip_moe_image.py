"""CLIP-MoE image: an image tower whose blocks have several perceptrons, of which each patch uses a few.

Zhang et al., "CLIP-MoE: Towards Building Mixture of Experts for CLIP with Diversified Multiplet Upcycling", 2024.

    every block:  x <- x + Attention(Norm(x));   x <- x + Mixture(Norm(x))                       (`nn.experts`)

Shapes: images (b 3 h w) -> pooled (b d), tokens (b n d), as of the tower. Made of any tower of our transformer blocks;
until the experts are trained apart, as the schedule `clip_moe` does, it says what the tower says. Confirmed against the
authors' code: a softmax over all experts, the weights of the chosen ones divided by their sum, a router without a bias.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features
from dovetail.nn.experts import upcycled


@implements(Encoder)
class CLIPMoEImage(nn.Module):
    """An image tower with a mixture of experts in every block.

    Args:
        image: the tower, which is changed; all experts begin as copies of its perceptrons.
        experts: perceptrons of a block.
        top: how many of them a patch uses.
    """

    def __init__(self, image: Encoder, experts: int = 4, top: int = 2):
        super().__init__()
        tower: Any = image
        self.image, self.experts, self.top = upcycled(tower, experts, top), experts, top
        self.width, self.token_width, self.size = tower.width, tower.token_width, tower.size
        self.normalisation = getattr(tower, "normalisation", None)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Features:
        """Normalised pixels to one vector an image and one a patch."""
        found: Features = self.image(x)
        return found
