"""Long-CLIP text: a trained text tower reads longer texts; its first positions stay, the others are stretched.

Zhang et al., "Long-CLIP: Unlocking the Long-Text Capability of CLIP", 2024.

    p'(i) = p(i) for i < k;   p'(k + j) = p(k + j (n - k) / (n' - k)), linearly between and beyond the last

p: the n learnt positions of the tower; n': the new context; k = 20, as a CLIP has seen few texts that are longer. With
n = 77 and n' = 248 there are four new positions for each of the last 57. Confirmed against the authors' code: the
weights 4/4, 3/4, 2/4 and 1/4 between two positions, the last three along the last slope, and that the first 20 learn
no more, while the others do. `models.resize` has the formula, for `dovetail convert --context 248 --stretch preserving`
too, which gives a plain tower all of whose positions go on learning.

Shapes: as of the tower. Made of any tower whose `positions` are learnt (`text_transformer`, `clip_text`, `siglip_text`,
...). Of a tower with new weights the first positions would stay random: the objective `long_clip` makes it of a trained
one.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features, Tokens
from dovetail.models.resize import lengthened, preserving


@implements(Encoder)
class LongClipText(nn.Module):
    """A text tower with more positions than it was trained with, of which the first do not learn.

    Args:
        text: the tower; its weights are shared, not copied.
        context: the most tokens a text may have; at least those of the tower.
        kept: how many positions stay as they are.
    """

    first: Tensor

    def __init__(self, text: Encoder, context: int = 248, kept: int = 20):
        super().__init__()
        tower: Any = text
        if getattr(tower, "context", 0) > context:
            raise ValueError(f"the tower reads texts of {tower.context} tokens already, more than {context}")
        self.text = lengthened(tower, context, partial(preserving, kept=kept))
        self.context, self.kept, self.vocabulary = context, kept, tower.vocabulary
        self.width, self.token_width = text.width, text.token_width
        self.register_buffer("first", self.text.positions[:kept].detach().clone())

    def forward(self, x: Tokens) -> Features:
        """Token ids to one vector a text and one a token."""
        positions = torch.cat([self.first, self.text.positions[self.kept :]])
        found: Features = functional_call(self.text, {"positions": positions}, (x,))
        return found
