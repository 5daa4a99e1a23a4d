"""Tokenized texts: put beside each other, strung together, and recognised."""

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F

from dovetail.contracts import Tokens
from dovetail.ops.regions import places

MULTIPLIER = 6364136223846793005  # of Knuth's linear congruential generator


def beside(first: Tokens, second: Tokens) -> Tokens:
    """The texts of both, padded to the longest."""
    longest = max(first.ids.shape[1], second.ids.shape[1])

    def padded(x: Tensor) -> Tensor:
        return F.pad(x, (0, longest - x.shape[1]))

    ids, masks = ((padded(a), padded(b)) for a, b in ((first.ids, second.ids), (first.mask, second.mask)))
    return Tokens(torch.cat(ids), torch.cat(masks))


def text_ids(texts: Tokens) -> Int[Tensor, " t"]:
    """A number for each text, the same in every process and however it is padded; equal for equal tokens, and else by
    a chance of about one in 10^19 a pair."""
    total = torch.zeros_like(texts.ids[:, 0]) if texts.ids.shape[1] else texts.ids.new_zeros(len(texts.ids))
    for ids, real in zip(texts.ids.unbind(1), texts.mask.unbind(1), strict=True):
        total = torch.where(real, total * MULTIPLIER + ids + 1, total)  # wraps around
    return total


def strung(texts: Tokens, owner: Int[Tensor, " t"], ends: tuple[int | None, int | None], context: int) -> Tokens:
    """The texts of each owner as one, in their order: an owner without any gives none, the others a row each.

    ends: the tokens before and after a text (None: there is none), kept once. What exceeds `context` tokens is cut off.
    """
    begin, end = ends
    order = owner.argsort(stable=True)
    ids, mask, owner = texts.ids[order], texts.mask[order].clone(), owner[order]
    for special in ends:
        mask &= ids != (-1 if special is None else special)
    owners, row = owner.unique(return_inverse=True)
    which = row[:, None].expand_as(ids)[mask]
    at = places(which) + (begin is not None)
    kept = at < context - (end is not None)
    length = torch.full_like(owners, int(begin is not None)).index_add(0, which[kept], torch.ones_like(which[kept]))
    longest = (int(length.max()) if len(length) else 0) + (end is not None)
    found = ids.new_zeros(len(owners), longest).index_put((which[kept], at[kept]), ids[mask][kept])
    if begin is not None:
        found[:, 0] = begin
    if end is not None:
        found = found.scatter(1, length[:, None], end)
        length = length + 1
    return Tokens(found, torch.arange(longest, device=ids.device)[None, :] < length[:, None])
