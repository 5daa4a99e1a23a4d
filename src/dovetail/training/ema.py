"""The running mean of a model's weights, which often evaluates better than the last ones.

Polyak & Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992, in its exponential form:

    m <- d m + (1 - d) w,    d = min(decay, (1 + step) / (10 + step)),  so that the first weights are soon forgotten
"""

import torch
from torch import nn

from dovetail.training.sharding import local


class EMA:
    """Holds `average`, for every tensor of the module's state one that trails it: this process's part, where the
    module is divided among several."""

    def __init__(self, module: nn.Module, decay: float):
        self.decay = decay
        self.average = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Moves the average towards the module's weights after step number `step` (from 1)."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for name, tensor in module.state_dict().items():
            mine, theirs = local(self.average[name]), local(tensor)
            if mine.is_floating_point():
                mine.lerp_(theirs, share)
            else:
                mine.copy_(theirs)
