"""Which patches a text speaks of: a weighted mean of the patches of its image, the least alike left out.

Bica et al., "Improving fine-grained understanding in image-text pre-training", 2024; Zheng et al., "DreamLIP:
Language-Image Pre-training with Long Captions", 2024.

    a_kp = <y_k, v_p>,  n_kp = (a_kp - min_p a_kp) / (max_p a_kp - min_p a_kp),  n_kp = 0 where below the threshold
    g_k = sum_p n_kp v_p / sum_p n_kp
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


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
