"""Lorentz: images and texts are points of a hyperbolic space, which has room for a hierarchy; near is alike.

Desai et al., "Hyperbolic Image-Text Representations", 2023.

    p(v) = ( sinh(r) v / |v|, cosh(r) ),  r = sqrt(c) a |v|        exponential map at the root, times sqrt(c)
    s(x, y) = -d(x, y) = - arcosh(-<p(x), p(y)>_L) / sqrt(c),  <p, q>_L = p_1 q_1 + ... + p_d q_d - p_0 q_0

v: an embedding of d numbers of any length; c: the learnt curvature; a: a learnt factor that starts at 1 / sqrt(d), so
that embeddings of a transformer start at about length 1. Shapes: pooled (r d), (c d) -> (r c); prepared items are
(n d+1), the time coordinate p_0 last. Confirmed against the authors' code: both starting values, the curvature kept
within a tenth and ten times its start, a within 1, and r cut where sinh is 2^15.

The authors have one a for images and one for captions. A similarity does not see which side it is given, and the
model's two linear maps, which have no bias, learn any length by themselves: here the two share one a. Differs from the
cosine in that the length of an embedding counts: what is general lies near the root. Not a cosine, and an index of
unit vectors cannot serve it.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import implements
from dovetail.contracts import Features, Similarity

LONGEST = math.asinh(2**15)  # beyond, float32 no longer tells the two terms of a product apart


@implements(Similarity)
class Lorentz(nn.Module):
    """The negative distance along the Lorentz hyperboloid, from 0 downwards.

    Args:
        curvature: c at the start.
    """

    symmetric = True
    tokens = False

    def __init__(self, curvature: float = 1.0):
        super().__init__()
        self.curvature = curvature
        self.log_curvature = nn.Parameter(torch.tensor(math.log(curvature)))
        self.log_factor = nn.Parameter(torch.tensor(0.0))  # of a, beside 1 / sqrt(d)

    def prepare(self, features: Features) -> Features:
        """The points of the hyperboloid."""
        v = features.pooled
        self._bound(v.shape[1])
        length = v.norm(dim=1, keepdim=True)
        factor = (self.log_curvature / 2 + self.log_factor).exp() / math.sqrt(v.shape[1])
        r = (factor * length).clamp_max(LONGEST)
        # At the root sinh(r) v / |v| is factor * v, and has its slope.
        small = length < torch.finfo(v.dtype).tiny ** 0.5
        space = torch.where(small, factor * v, r.sinh() * v / length.masked_fill(small, 1))
        return Features(torch.cat([space, (1 + space.square().sum(1, keepdim=True)).sqrt()], 1))

    def scores(self, rows: Features, cols: Features) -> Float[Tensor, "r c"]:
        """The negative distances of prepared items."""
        p, q = rows.pooled, cols.pooled
        product = p[:, -1:] * q[:, -1] - p[:, :-1] @ q[:, :-1].T
        # The arcosh has no slope at 1, where two points coincide.
        distance = product.clamp_min(1 + 4 * torch.finfo(p.dtype).eps).acosh()
        return -distance / (self.log_curvature / 2).exp()

    @torch.no_grad()
    def _bound(self, width: int) -> None:
        """Keeps what is learnt where the paper lets it go."""
        if self.training:
            start = math.log(self.curvature)
            self.log_curvature.clamp_(start - math.log(10), start + math.log(10))
            self.log_factor.clamp_(max=math.log(width) / 2)
