"""Label smoothing of InfoNCE with the cosine, without a matrix of targets.

Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016.

Row i has the positives P and the negatives N, all other columns. As in InfoNCE each positive p meets the negatives on
its own, in a softmax over p and N. Smoothing by e gives p the target 1 - e and divides e evenly, over the negatives or
over all columns of that softmax, p among them. With n negatives, s the scores and means over P and N:

    mean_p -sum_j q_pj log softmax_p(s)_j  =  InfoNCE_i + e c_n (mean_P s_ij - mean_N s_ij)
    c_n = 1 over the negatives,  n / (n + 1) over all columns,  0 without a negative; a row without a positive costs 0

The sum over columns of t <x_i, y_j> is t <x_i, sum_j y_j>, so that the last term costs no more than the vectors do; a
bias on the scores drops out. All columns, hard negative captions included, of all processes take part.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from dovetail.ops.distributed import gather
from dovetail.ops.features import wide
from dovetail.ops.means import weighted_mean
from dovetail.ops.sides import Side
from dovetail.ops.similarity import normalize

Spread = Callable[[Float[Tensor, " r"]], Float[Tensor, " r"]]
"""c_n: how the smoothed mass is spread, from each row's number of negatives."""


def over_negatives(n: Float[Tensor, " r"]) -> Float[Tensor, " r"]:
    """Each negative's target is e / n, the positive's 1 - e."""
    return (n > 0).to(n.dtype)


def over_columns(n: Float[Tensor, " r"]) -> Float[Tensor, " r"]:
    """Each negative's target is e / (n + 1), the positive's 1 - e + e / (n + 1), as in torch's cross-entropy."""
    return n / (n + 1)


def smoothing(left: Side, right: Side, scale: Float[Tensor, ""], spread: Spread = over_columns) -> Float[Tensor, ""]:
    """The last term above for e = 1, meaned over rows and directions as `ops.contrast.contrast` does its losses.

    `contrast(left, right, cosine, infonce, scale) + e * smoothing(left, right, scale)` is the smoothed loss. Its mean
    over processes is that of the joined batch, and so are the gradients. Belonging together is having equal ids.
    """
    with torch.autocast(left.features.pooled.device.type, enabled=False):
        return scale * (_one_way(left, right, spread) + _one_way(right, left, spread)) / 2


def _one_way(rows: Side, cols: Side, spread: Spread) -> Float[Tensor, ""]:
    x, y = (normalize(wide(side.features.pooled)) for side in (rows, cols))
    y = gather(y)
    ids, of, counts = gather(cols.ids).unique(return_inverse=True, return_counts=True)
    if not len(ids):  # nobody has a column
        return 0 * (x.sum() + y.sum())
    sums = y.new_zeros(len(ids), y.shape[1]).index_add(0, of, y)
    at = torch.searchsorted(ids, rows.ids).clamp_max(len(ids) - 1)
    some, positives = ids[at] == rows.ids, counts[at].to(x.dtype)
    negatives = len(y) - positives
    near = (x * sums[at]).sum(1) / positives
    far = (x * (y.sum(0) - sums[at])).sum(1) / negatives.clamp_min(1)
    return weighted_mean(some * spread(negatives) * (near - far), rows.weights.to(x.dtype))
