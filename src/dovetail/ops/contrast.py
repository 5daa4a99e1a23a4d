"""The contrast engine: two sides, a similarity and a pair loss become one number and its gradients.

Everything that is common to the pair losses of the literature is done here, once:

- the targets: column j belongs to row i when their ids are equal, so that several captions of an image, and the same
  thing met twice in a batch, are positives and never negatives of each other; or they are soft, from a function;
- both directions, from one matrix when the similarity is symmetric;
- the whole batch: each process's columns come to all processes in turn, so that N processes give the loss and the
  gradients of one, and the memory that one of them needs does not grow with their number;
- the memory: the score matrix is walked in tiles (`ops.walk`) and never held. The gradients are found in the same walk,
  and the backward pass only hands them out.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.contracts import Features, PairLoss, RowFacts, Similarity
from dovetail.ops.features import wide
from dovetail.ops.sides import Side, Targets, same_ids
from dovetail.ops.walk import Terms, Walk


def contrast(
    left: Side,
    right: Side,
    similarity: Similarity,
    loss: PairLoss,
    scale: Float[Tensor, ""],
    bias: Float[Tensor, ""] | None = None,
    targets: Targets = same_ids,
    tile: int | None = None,
) -> Float[Tensor, ""]:
    """The mean over both directions of the weighted mean row loss, of scores `scale * similarity + bias`.

    In a run of several processes each passes its own part of the batch; the mean over processes of the values returned
    is the loss of the joined batch, and so are the gradients after averaging (as DistributedDataParallel does). All
    processes must call it together, and with gradients enabled in all or in none.

    tile: entries of the score matrix made at once; None: what is fast on the device. The memory needed beyond that is
    a few times that of the features. The result can be differentiated once, not twice.
    """
    with torch.autocast(left.features.pooled.device.type, enabled=False):
        terms = Terms(similarity, loss, targets, tile)
        left, right = _prepared(left, similarity), _prepared(right, similarity)
        if similarity.symmetric:
            return _value(terms, left, right, True, scale, bias)
        there = _value(terms, left, right, False, scale, bias)
        return (there + _value(terms, right, left, False, scale, bias)) / 2


def row_losses(loss: PairLoss, scores: Float[Tensor, "r c"], targets: Float[Tensor, "r c"]) -> Float[Tensor, " r"]:
    """What whole rows of a score matrix cost, by the loss's definition."""
    statistics = tuple(x.logsumexp(1, keepdim=True) for x in loss.exponents(scores, targets))
    return loss.costs(scores, targets, RowFacts(targets.sum(1, keepdim=True), statistics)).sum(1)


def _prepared(side: Side, similarity: Similarity) -> Side:
    """The features in full precision, as the similarity wants them."""
    f = side.features
    tokens = None if f.tokens is None or not similarity.tokens else wide(f.tokens)
    mask = f.mask if similarity.tokens else None
    found = similarity.prepare(Features(wide(f.pooled), tokens, mask, f.grid))
    return Side(found, side.ids, side.weights.to(found.pooled.dtype), side.facts)


def _value(terms: Terms, rows: Side, cols: Side, both: bool, scale: Tensor, bias: Tensor | None) -> Tensor:
    held = [rows.features.pooled, rows.features.tokens, cols.features.pooled, cols.features.tokens, scale, bias]
    learnt = [p for x in (terms.loss, terms.similarity) if isinstance(x, nn.Module) for p in x.parameters()]
    value: Tensor = _Walked.apply(terms, rows, cols, both, torch.is_grad_enabled(), *held, *learnt)
    return value


class _Walked(torch.autograd.Function):
    """The value of a walk. Its gradients are found with it and wait for the backward pass."""

    @staticmethod
    def forward(
        ctx: Any, terms: Terms, rows: Side, cols: Side, both: bool, learning: bool, *held: Tensor | None
    ) -> Tensor:
        wanted = [learning and needed for needed in ctx.needs_input_grad[5:]]
        walk = Walk(terms, rows, cols, both, held, wanted)
        value = walk.run()
        ctx.gradients = walk.gradients
        return value

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        found, ctx.gradients = ctx.gradients, None
        if found is None:
            raise RuntimeError("the gradients of a contrast can be had once: its memory is free after that")
        return None, None, None, None, None, *(None if x is None else x.mul_(gradient.to(x.dtype)) for x in found)
