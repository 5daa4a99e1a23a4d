"""Which group a vector belongs to, of groups that are made once, of the first vectors seen.

The k-means of `ops.clustering`, over a bank that a training fills as it goes.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dovetail.ops.clustering import kmeans, nearest
from dovetail.ops.distributed import gather


class Clusters(nn.Module):
    """Groups of the first `memory` vectors that `see` is shown; before they have come, all is one group.

    Args:
        width: length of a vector.
        count: of groups.
        memory: vectors that they are made of; at least `count`.
    """

    bank: Tensor
    centres: Tensor
    seen: Tensor

    def __init__(self, width: int, count: int, memory: int):
        super().__init__()
        if memory < count:
            raise ValueError(f"{memory} vectors do not make {count} groups; give at least as many")
        self.register_buffer("bank", torch.zeros(memory, width))
        self.register_buffer("centres", torch.zeros(count, width))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def see(self, x: Float[Tensor, "n d"]) -> None:
        """Takes in the vectors of all processes; makes the groups when there are enough."""
        start, memory = int(self.seen), len(self.bank)
        if start >= memory:
            return
        new = gather(x)[: memory - start]
        self.bank[start : start + len(new)] = new
        self.seen += len(new)
        if int(self.seen) == memory:
            centres = kmeans(self.bank, len(self.centres))[0]
            self.centres.copy_(gather(centres)[: len(centres)])  # those of the first process, in all

    @torch.no_grad()
    def forward(self, x: Float[Tensor, "n d"]) -> Int[Tensor, " n"]:
        """The number of each vector's group."""
        if int(self.seen) < len(self.bank):
            return torch.zeros(len(x), dtype=torch.int64, device=x.device)
        return nearest(x, self.centres)
