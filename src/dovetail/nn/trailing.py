"""A module that trails another one: its parameters are a running mean of the other's and learn nothing themselves."""

import copy
import math
from typing import Any, Self

import torch
from torch import nn


class Trailing(nn.Module):
    """A teacher made of its pupil: t <- d t + (1 - d) p. In evaluation mode for good, and without gradients.

    An objective makes it in `begin`, holds it, so that it is checkpointed with the run, and moves it in `advance`.
    Not the loop's own average of weights, which is for evaluation.
    """

    def __init__(self, pupil: nn.Module):
        super().__init__()
        self.module = copy.deepcopy(pupil).requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> Self:
        """Stays in evaluation mode, whatever the run does."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, *inputs: Any) -> Any:
        """What the module makes of them."""
        return self.module(*inputs)

    @torch.no_grad()
    def follow(self, pupil: nn.Module, decay: float) -> None:
        """A step towards the pupil, of which the module is a copy."""
        for mine, theirs in zip(self.module.state_dict().values(), pupil.state_dict().values(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - decay)
            else:
                mine.copy_(theirs)


def slowing(start: float, progress: float) -> float:
    """A decay that rises from `start` to 1 along half a cosine, as in BYOL and DINO."""
    return 1 - (1 - start) * (1 + math.cos(math.pi * min(1.0, progress))) / 2
