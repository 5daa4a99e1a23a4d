"""What it costs an image to tell its true texts from its own false ones.

Doveh et al., "Teaching Structured Vision&Language Concepts to Vision&Language Models", 2022; Paiss et al., "Teaching
CLIP to Count to Ten", 2023.

    L_i = mean over its true texts j of  -log  exp(s_ij) / (exp(s_ij) + sum over its false texts k of exp(s_ik))
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F


def against_own(
    scores: Float[Tensor, " t"], owner: Int[Tensor, " t"], false: Bool[Tensor, " t"], images: int
) -> tuple[Float[Tensor, " b"], Bool[Tensor, " b"]]:
    """What each image pays, and whether it has true texts and false ones; without, it pays nothing.

    scores: of each text with the image `owner`, of so many `images`. Nothing is compared between images.
    """
    count = scores.new_zeros(images).index_add(0, owner, (~false).to(scores.dtype))
    wrong = torch.zeros(images, dtype=torch.bool, device=scores.device).index_fill(0, owner[false], True)
    highest = scores.new_full((images,), -torch.inf).scatter_reduce(0, owner[false], scores[false].detach(), "amax")
    highest = torch.where(wrong, highest, 0.0)
    sums = scores.new_zeros(images).index_add(0, owner[false], (scores[false] - highest[owner[false]]).exp())
    against = torch.where(wrong, sums, 1.0).log() + highest
    known = wrong & (count > 0)
    mine = ~false & known[owner]
    costs = F.softplus(against[owner[mine]] - scores[mine])
    total = scores.new_zeros(images).index_add(0, owner[mine], costs)
    return total / count.clamp_min(1), known
