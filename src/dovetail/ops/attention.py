"""Scaled dot-product attention, by the implementation that is fast where it runs.

Vaswani et al., "Attention Is All You Need", 2017:  softmax(q k^T / sqrt(d)) v.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F


def attend(
    q: Float[Tensor, "b heads n d"],
    k: Float[Tensor, "b heads m d"],
    v: Float[Tensor, "b heads m e"],
    mask: Bool[Tensor, "b m"] | None = None,
    causal: bool = False,
) -> Float[Tensor, "b heads n e"]:
    """Attention of n queries over m keys; `mask` is True where a key is real (None: all are).

    causal: query i sees the keys up to i alone.
    """
    if q.device.type != "cpu" and mask is None:  # without a matrix of what is seen the fastest kernels apply
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    allowed = None if mask is None else mask[:, None, None, :]
    if causal:
        past = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).tril()
        allowed = past if allowed is None else past & allowed
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
    # Torch's fused CPU kernel is slower than plain products at these lengths: benchmarks/attention.py.
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if allowed is not None:
        scores = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min)
    return scores.softmax(-1) @ v
