"""The contrast engine: two sides, a similarity and a pair loss become one number and its gradients.

Everything that is common to the pair losses of the literature is done here, once:

- the targets: column j belongs to row i when their ids are equal, so that several captions of an image, and the same
  thing met twice in a batch, are positives and never negatives of each other;
- both directions: the left side's items are the rows against all of the right side, then the other way round;
- the whole batch: the columns are gathered from every process with their gradients, so that N processes give the loss
  and the gradients of one;
- the memory: a score matrix above `BLOCK` entries is walked in blocks of rows that are computed again in the backward
  pass.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from dovetail.contracts import Features, PairLoss, Similarity
from dovetail.ops.distributed import gather, gather_features, sum_over_processes, world_size

BLOCK = 1 << 24  # entries of a score matrix held at once: 64 MiB in float32


@dataclass(frozen=True)
class Side:
    """One side of the contrast: n things, which of them are the same, and how much each counts as a row.

    A weight of 0 makes a thing a column only: a hard negative that asks no question of its own.
    """

    features: Features
    ids: Int[Tensor, " n"]
    weights: Float[Tensor, " n"]


def contrast(
    left: Side,
    right: Side,
    similarity: Similarity,
    loss: PairLoss,
    scale: Float[Tensor, ""],
    bias: Float[Tensor, ""] | None = None,
    block: int = BLOCK,
) -> Float[Tensor, ""]:
    """The mean over both directions of the weighted mean row loss, of scores `scale * similarity + bias`.

    In a run of several processes each passes its own part of the batch; the mean over processes of the values returned
    is the loss of the joined batch, and so are the gradients after averaging (as DistributedDataParallel does).
    """
    with torch.autocast(left.features.pooled.device.type, enabled=False):
        left, right = _full_precision(left), _full_precision(right)
        terms = _Terms(similarity, loss, scale, bias, block)
        fits = left.ids.numel() * right.ids.numel() <= block
        if fits and similarity.symmetric and world_size() == 1:
            return terms.both(left, right)
        return (terms.direction(left, right) + terms.direction(right, left)) / 2


@dataclass(frozen=True)
class _Terms:
    similarity: Similarity
    loss: PairLoss
    scale: Tensor
    bias: Tensor | None
    block: int

    def both(self, left: Side, right: Side) -> Tensor:
        """Both directions from one score matrix."""
        scores = self.scores(left.features, right.features)
        targets = _targets(left.ids, right.ids, scores)
        rows = self.loss.rows(scores, targets) @ left.weights / _positive(left.weights.sum())
        cols = self.loss.rows(scores.T, targets.T) @ right.weights / _positive(right.weights.sum())
        return (rows + cols) / 2

    def direction(self, rows: Side, cols: Side) -> Tensor:
        """The rows of this process against the columns of all."""
        features, ids = gather_features(cols.features, self.similarity.tokens), gather(cols.ids)
        height = max(1, self.block // max(1, ids.numel()))
        total = _positive(sum_over_processes(rows.weights.sum()))
        # A process without rows still has one (empty) block, for its backward pass must answer the others' gather.
        starts = range(0, max(1, rows.ids.numel()), height)
        losses = [self._block(_slice(rows, i, i + height), features, ids) for i in starts]
        return torch.stack(losses).sum() * world_size() / total

    def _block(self, rows: Side, features: Features, ids: Tensor) -> Tensor:
        def weighted() -> Tensor:
            scores = self.scores(rows.features, features)
            return self.loss.rows(scores, _targets(rows.ids, ids, scores)) @ rows.weights

        return checkpoint(weighted, use_reentrant=False, preserve_rng_state=False)

    def scores(self, rows: Features, cols: Features) -> Tensor:
        scores = self.scale * self.similarity(rows, cols)
        return scores if self.bias is None else scores + self.bias


def _targets(rows: Tensor, cols: Tensor, like: Tensor) -> Tensor:
    return (rows[:, None] == cols[None, :]).to(like.dtype)


def _positive(total: Tensor) -> Tensor:
    """A sum of weights to divide by; where all weights are 0, so is the loss."""
    return total.clamp_min(torch.finfo(total.dtype).tiny)


def _slice(side: Side, start: int, stop: int) -> Side:
    f = side.features
    part = Features(
        f.pooled[start:stop],
        None if f.tokens is None else f.tokens[start:stop],
        None if f.mask is None else f.mask[start:stop],
        f.grid,
    )
    return Side(part, side.ids[start:stop], side.weights[start:stop])


def _full_precision(side: Side) -> Side:
    """Half-precision features as float32: the logarithms of a softmax over a large batch need it."""
    f = side.features
    tokens = None if f.tokens is None else _wide(f.tokens)
    pooled = _wide(f.pooled)
    return Side(Features(pooled, tokens, f.mask, f.grid), side.ids, side.weights.to(pooled.dtype))


def _wide(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
