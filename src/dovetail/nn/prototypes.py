"""Heads of self-distillation: vectors compared with prototypes, by a pupil and by the teacher that trails it.

Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", 2021 (DINO):

    head(x) = <unit(MLP(x)), unit(w_k)>  for every prototype w_k;    c <- m c + (1 - m) mean of the teacher's heads

The centre c, subtracted from the teacher's numbers, keeps any one prototype from winning always.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.nn.trailing import Trailing
from dovetail.ops.distributed import sum_over_processes
from dovetail.ops.features import wide
from dovetail.ops.sharpened import sharpened_cross_entropy
from dovetail.ops.similarity import normalize

BOTTLENECK = 256


class PrototypeHead(nn.Module):
    """A perceptron of three layers with GELUs, a bottleneck of unit length, and the cosine with each prototype."""

    def __init__(self, width: int, prototypes: int, inner: int = 2048, bottleneck: int = BOTTLENECK):
        super().__init__()
        widths = (width, inner, inner, bottleneck)
        maps = [nn.Linear(a, b) for a, b in pairwise(widths)]
        for m in maps:
            nn.init.trunc_normal_(m.weight, std=0.02)
            nn.init.zeros_(m.bias)
        self.layers = nn.Sequential(maps[0], nn.GELU(), maps[1], nn.GELU(), maps[2])
        self.prototypes = nn.Parameter(torch.randn(prototypes, bottleneck) * bottleneck**-0.5)

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        found = self.layers(x)
        with torch.autocast(found.device.type, enabled=False):
            return normalize(wide(found)) @ normalize(wide(self.prototypes)).T


class SelfDistillation(nn.Module):
    """A pupil's head, the teacher's that trails it, and the centre.

    The centre moves in `advance`, towards what `note` was told since: between the two passes of gradient caching it
    must stay where it is.
    """

    centre: Tensor
    noted: Tensor
    count: Tensor

    def __init__(
        self,
        width: int,
        prototypes: int,
        inner: int = 2048,
        temperatures: tuple[float, float] = (0.1, 0.04),
        momentum: float = 0.9,
    ):
        super().__init__()
        self.temperatures, self.momentum = temperatures, momentum
        self.pupil = PrototypeHead(width, prototypes, inner)
        self.teacher = Trailing(self.pupil)
        for name in ("centre", "noted"):
            self.register_buffer(name, torch.zeros(prototypes))
        self.register_buffer("count", torch.zeros(()))

    def said(self, teacher: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
        """What the teacher's head says of the teacher's vectors."""
        found: Tensor = self.teacher(teacher)
        return found

    def costs(self, pupil: Float[Tensor, "n d"], said: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
        """What it costs the pupil's vectors not to say the same."""
        return sharpened_cross_entropy(self.pupil(pupil), said, self.centre, self.temperatures)

    @torch.no_grad()
    def note(self, said: Float[Tensor, "n k"]) -> None:
        """Takes in what the teacher's head said of this batch in all processes; for `terms`, in training."""
        self.noted += sum_over_processes(wide(said).sum(0))
        self.count += sum_over_processes(said.new_full((), len(said)))

    @torch.no_grad()
    def advance(self, decay: float) -> None:
        """A step of the teacher's head and of the centre; decay: of the head."""
        self.teacher.follow(self.pupil, decay)
        share = (1 - self.momentum) * (self.count > 0)
        self.centre.lerp_(self.noted / self.count.clamp_min(1), share.to(self.centre))
        self.noted.zero_()
        self.count.zero_()
