"""Features of things, picked out and put together."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from dovetail.contracts import Features


def wide(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Half precision as float32: the logarithms of a softmax over a large batch need it."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def take(features: Features, rows: Int[Tensor, " r"]) -> Features:
    """The features of the items `rows`."""
    at = rows.to(features.pooled.device)
    tokens = None if features.tokens is None else features.tokens[at]
    mask = None if features.mask is None else features.mask[at]
    return replace(features, pooled=features.pooled[at], tokens=tokens, mask=mask)


def joined(parts: Sequence[Features]) -> Features:
    """Features one after the other, tokens padded to the longest."""
    pooled = torch.cat([p.pooled for p in parts])
    if any(p.tokens is None for p in parts):
        return Features(pooled, grid=parts[0].grid)
    longest = max(p.tokens.shape[1] for p in parts if p.tokens is not None)
    tokens, masks = [], []
    for p in parts:
        assert p.tokens is not None
        mask = p.mask if p.mask is not None else p.tokens.new_ones(p.tokens.shape[:2]).bool()
        missing = longest - p.tokens.shape[1]
        tokens.append(F.pad(p.tokens, (0, 0, 0, missing)))
        masks.append(F.pad(mask, (0, missing)))
    return Features(pooled, torch.cat(tokens), torch.cat(masks), parts[0].grid)
