"""Items shared out to places evenly: what lies near a place goes there, and every place gets as much.

Cuturi, "Sinkhorn Distances: Lightspeed Computation of Optimal Transport", 2013; over the prototypes of a batch in Caron
et al., "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments", 2020 (SwAV):

    Q = exp(s / e);  in turn: columns of Q scaled to sum to n / k, rows to 1
"""

import torch
from jaxtyping import Float
from torch import Tensor

from dovetail.ops.distributed import gather, sum_over_processes


@torch.no_grad()
def shared_out(scores: Float[Tensor, "n k"], epsilon: float = 0.05, rounds: int = 3) -> Float[Tensor, "n k"]:
    """How much of each of this process's items goes to which of k places; each row sums to 1, and over the items of
    all processes all places get about the same. No gradient flows.

    epsilon: how sharply nearness counts. rounds: of scaling columns and rows.
    """
    logs = scores / epsilon
    for _ in range(rounds):
        # In logarithms, where exp(1 / epsilon) is out of no precision's range.
        logs = logs - _over_items(logs)
        logs = logs - logs.logsumexp(1, keepdim=True)
    return logs.exp()


def _over_items(logs: Float[Tensor, "n k"]) -> Float[Tensor, "1 k"]:
    """The log-sum-exp of each column over the items of all processes."""
    lowest = torch.finfo(logs.dtype).min
    mine = logs.amax(0, keepdim=True) if len(logs) else logs.new_full((1, logs.shape[1]), lowest)
    top = gather(mine).amax(0, keepdim=True)
    return sum_over_processes((logs - top).exp().sum(0, keepdim=True)).log() + top
