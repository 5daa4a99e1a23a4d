"""Things of one kind told apart: each looks for those that are the same as itself among all the others.

Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", 2020: with InfoNCE this is their
NT-Xent loss.

    L = mean_i  loss(i, all things but i),    i belongs with those of equal id
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dovetail.contracts import PairLoss, Similarity
from dovetail.ops.contrast import contrast
from dovetail.ops.distributed import gather, this_process, world_size
from dovetail.ops.sides import Pairs, Side, same_ids


def contrast_among(
    things: Side, similarity: Similarity, loss: PairLoss, scale: Float[Tensor, ""], bias: Tensor | None = None
) -> Float[Tensor, ""]:
    """`ops.contrast.contrast` of the things of all processes with themselves, where none meets itself.
    A thing that is alone of its id is a column only.

    loss: one that does not count what belongs to a row among its negatives, as InfoNCE does not.
    """
    n = len(things.ids)
    own = torch.arange(n, dtype=torch.float64, device=things.ids.device) * world_size() + this_process()
    numbered = replace(things, weights=things.weights * _accompanied(things.ids), facts=own[:, None])
    return contrast(numbered, numbered, similarity, loss, scale, bias, _others)


def _others(rows: Side, cols: Side) -> Pairs | None:
    """Those of equal id, and the thing itself by so little that it costs nothing and yet is no negative."""
    found = same_ids(rows, cols)
    if found is None:
        return None
    assert rows.facts is not None and cols.facts is not None
    itself = rows.facts[found.at[0]] == cols.facts[found.at[1]]
    return Pairs(found.at, found.targets.masked_fill(itself, torch.finfo(torch.float32).tiny))


def _accompanied(ids: Int[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """Whether another thing, in whatever process, has the same id."""
    every = gather(ids).sort().values
    return torch.searchsorted(every, ids, right=True) - torch.searchsorted(every, ids) > 1
