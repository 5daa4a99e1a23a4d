"""Principal components of a set of vectors, with gradients through the components themselves.

Jolliffe, "Principal Component Analysis", 1986.

    P = sum_k v_k v_k^T,   v_k: the eigenvectors of the greatest eigenvalues l_k of C = (X - m)^T (X - m)
    dP = sum_ij (v_i v_j^T + v_j v_i^T) <v_i, dC v_j> / (l_i - l_j),    i among the kept ones, j among the others

Only the gap between kept and dropped eigenvalues stands in a denominator: equal ones on either side, as those of fewer
vectors than dimensions are, do no harm. Where the gap itself is nothing, the choice is arbitrary and has no gradient.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


def reconstructed(x: Float[Tensor, "n d"], every: Float[Tensor, "m d"], count: int) -> Float[Tensor, "n d"]:
    """What is left of x when only the first `count` principal components of `every` are kept, around its mean."""
    mean = every.mean(0)
    centred = every - mean
    return mean + (x - mean) @ projection(centred.T @ centred, count)


def projection(symmetric: Float[Tensor, "d d"], count: int) -> Float[Tensor, "d d"]:
    """The projection to the eigenvectors of the `count` greatest eigenvalues; of all of them where there are fewer."""
    found: Tensor = _Projection.apply(symmetric, count)
    return found


class _Projection(torch.autograd.Function):
    """Autograd's own gradient of eigenvectors has all gaps in it, and is not a number where one is 0."""

    @staticmethod
    def forward(ctx: Any, symmetric: Tensor, count: int) -> Tensor:
        values, vectors = torch.linalg.eigh(symmetric)
        ctx.save_for_backward(values, vectors)
        ctx.kept = slice(max(0, len(values) - count), None)
        kept = vectors[:, ctx.kept]
        return kept @ kept.T

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        values, vectors = ctx.saved_tensors
        dropped = slice(0, ctx.kept.start)
        kept, others = vectors[:, ctx.kept], vectors[:, dropped]
        gap = values[ctx.kept, None] - values[dropped]
        clear = gap > 4 * torch.finfo(values.dtype).eps * values.abs().max()
        slope = kept.T @ (gradient + gradient.T) @ others * clear / torch.where(clear, gap, 1)
        found = kept @ slope @ others.T
        return (found + found.T) / 2, None
