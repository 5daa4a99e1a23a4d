"""Which patches a text speaks of: a weighted mean of the patches of its image, the least alike left out; or one each.

Bica et al., "Improving fine-grained understanding in image-text pre-training", 2024; Zheng et al., "DreamLIP:
Language-Image Pre-training with Long Captions", 2024.

    a_kp = <y_k, v_p>,  n_kp = (a_kp - min_p a_kp) / (max_p a_kp - min_p a_kp),  n_kp = 0 where below the threshold
    g_k = sum_p n_kp v_p / sum_p n_kp
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dovetail.ops.matching import matched
from dovetail.ops.similarity import normalize


def grouped(
    texts: Float[Tensor, "b k d"],
    patches: Float[Tensor, "b p d"],
    real: Bool[Tensor, "b p"],
    threshold: float | None = None,
) -> Float[Tensor, "b k d"]:
    """For each text the mean of its image's real patches, weighted by how alike they are, the least alike left out.

    Where all are equally alike, as a lone patch is, each counts the same.
    """
    alike, seen = texts @ patches.mT, real[:, None]
    low = alike.masked_fill(~seen, torch.inf).amin(2, keepdim=True)
    span = alike.masked_fill(~seen, -torch.inf).amax(2, keepdim=True) - low
    flat = span <= 0
    near = torch.where(flat, 1.0, (alike - low) / span.masked_fill(flat, 1))
    least = 1 / real.sum(1)[:, None, None] if threshold is None else threshold
    kept = torch.where(seen & (near >= least), near, 0)
    return kept / kept.sum(2, keepdim=True) @ patches


def assigned(
    words: Float[Tensor, "t l d"], patches: Float[Tensor, "t p d"], real: Bool[Tensor, "t l"]
) -> Float[Tensor, "t l d"]:
    """A patch for each real word, so that the cosines of all pairs of a text sum to the most: no patch takes more words
    than it must for every word to have one. No gradient flows through the choice."""
    p = patches.shape[1]
    copies = -(-real.sum(1) // p)  # of each patch
    most = max(1, -(-real.shape[1] // p))
    alike = (normalize(words) @ normalize(patches).mT).detach().repeat(1, 1, most)
    free = torch.arange(most * p, device=real.device)[None, :] < (copies * p)[:, None]
    chosen = matched(-alike, real, free).clamp_min(0) % p
    return patches.gather(1, chosen[..., None].expand(-1, -1, patches.shape[2]))


def told_apart(
    groups: Float[Tensor, "t l d"],
    words: Float[Tensor, "t l d"],
    real: Bool[Tensor, "t l"],
    scale: Float[Tensor, ""],
) -> Float[Tensor, "t l"]:
    """What it costs each word and its group to find each other among those of their own text, on average over both
    directions: InfoNCE with the cosine. Words that are not real cost something too, which means nothing."""
    scores = scale * normalize(groups) @ normalize(words).mT
    apart = scores.masked_fill(~(real[:, :, None] & real[:, None, :]), torch.finfo(scores.dtype).min)
    own = scores.diagonal(dim1=1, dim2=2)
    return apart.logsumexp(2) / 2 + apart.logsumexp(1) / 2 - own  # halves, for the sum of two least numbers is -inf
