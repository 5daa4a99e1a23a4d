"""CLIP-MoE text: a text tower whose blocks have several perceptrons, of which each word uses a few.

Zhang et al., "CLIP-MoE: Towards Building Mixture of Experts for CLIP with Diversified Multiplet Upcycling", 2024.

    every block:  x <- x + Attention(Norm(x));   x <- x + Mixture(Norm(x))                       (`nn.experts`)

Shapes: ids (t l) -> pooled (t d), tokens (t l d), as of the tower. Made of any tower of our transformer blocks; until
the experts are trained apart, as the schedule `clip_moe` does, it says what the tower says. What was confirmed of the
routing, see `clip_moe_image`.
"""

from typing import Any

from torch import nn

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features, Tokens
from dovetail.nn.experts import upcycled


@implements(Encoder)
class CLIPMoEText(nn.Module):
    """A text tower with a mixture of experts in every block.

    Args:
        text: the tower, which is changed; all experts begin as copies of its perceptrons.
        experts: perceptrons of a block.
        top: how many of them a word uses.
    """

    def __init__(self, text: Encoder, experts: int = 4, top: int = 2):
        super().__init__()
        tower: Any = text
        self.text, self.experts, self.top = upcycled(tower, experts, top), experts, top
        self.width, self.token_width, self.vocabulary = tower.width, tower.token_width, tower.vocabulary

    def forward(self, x: Tokens) -> Features:
        """Token ids to one vector a text and one a token."""
        found: Features = self.text(x)
        return found
