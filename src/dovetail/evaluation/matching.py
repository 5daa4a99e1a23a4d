"""Queries put to a gallery: ranks, nearest items and worst mistakes, without ever holding the q x g score matrix.

An item is right for a query when their ids are equal. Rows of scores are made in blocks of at most `cells` entries.
Scores that differ by less than a millionth of the row's largest are ties: float32 products of equal vectors may differ
by as much, depending on how the matrix is cut.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dovetail.contracts import Features, Similarity
from dovetail.evaluation.metrics import Ranks
from dovetail.ops.features import take
from dovetail.ops.similarity import normalize

TIE = 1e-6


class PooledCosine:
    """The cosine between pooled vectors, in -1..1: how embeddings are compared when nothing else is said."""

    symmetric = True
    tokens = False

    def prepare(self, features: Features) -> Features:
        """Unit vectors."""
        return Features(normalize(features.pooled))

    def scores(self, rows: Features, cols: Features) -> Float[Tensor, "r c"]:
        """The products of unit vectors."""
        return rows.pooled @ cols.pooled.T


COSINE = PooledCosine()


@dataclass(frozen=True)
class Mistake:
    """A wrong item of the gallery that scored higher than the best right one. All are row numbers but the margin."""

    query: int
    wrong: int
    right: int
    margin: float  # score of the wrong item less that of the right one


@dataclass(frozen=True, eq=False)
class Matching:
    """q queries, g items they are to find among, and how alike they are.

    Raises ValueError when there are no queries, and for a query whose id the gallery does not have. Everything is
    computed on the device where the queries lie, and handed out on the CPU.
    """

    queries: Features
    gallery: Features
    query_ids: Int[Tensor, " q"]
    gallery_ids: Int[Tensor, " g"]
    similarity: Similarity = COSINE
    cells: int = 1 << 22  # scores held at once: 16 MiB in float32

    def __post_init__(self) -> None:
        if not len(self.query_ids):
            raise ValueError("there are no queries")
        known = torch.isin(self.query_ids, self.gallery_ids)
        if not known.all():
            raise ValueError(f"query {int((~known).nonzero()[0])} has no right item in the gallery: no item has its id")

    def ranks(self) -> Ranks:
        """Where the best right item of every query stands."""
        # set aside at once: small tensors kept from every block would split the memory that the next block needs
        counts = torch.empty(4, len(self.query_ids), dtype=torch.long)
        for start, scores, right, real in self._blocks():
            counts[:, start : start + len(scores)] = _standing(scores, right, real)
        above, tied, level, right = counts
        return Ranks(above, tied, level, right, len(self.gallery_ids))

    def nearest(self, rows: Int[Tensor, " r"], count: int) -> tuple[Int[Tensor, "r k"], Float[Tensor, "r k"]]:
        """The `count` best items (all, if there are fewer) for the queries `rows`, best first, with their scores."""
        k = min(count, len(self.gallery_ids))
        found = [scores.topk(k, dim=1) for _, scores, _, _ in self.of(rows)._blocks()]
        return torch.cat([f.indices for f in found]).cpu(), torch.cat([f.values for f in found]).cpu()

    def mistakes(self, count: int) -> list[Mistake]:
        """At most `count` mistakes, one a query, the largest margin first."""
        found: list[Mistake] = []
        for start, scores, right, _ in self._blocks():
            own, which = scores.gather(1, right).max(1)
            top, where = scores.max(1)
            margin = top - own  # 0 where the top item is a right one
            for i in margin.topk(min(count, len(margin))).indices.tolist():
                best = int(right[i, which[i]])
                found.append(Mistake(start + i, int(where[i]), best, float(margin[i])))
        return sorted((m for m in found if m.margin > 0), key=lambda m: -m.margin)[:count]

    def of(self, rows: Int[Tensor, " r"]) -> "Matching":
        """The same gallery, asked by the queries `rows` only."""
        return replace(self, queries=take(self.queries, rows), query_ids=self.query_ids[rows.to(self.query_ids.device)])

    @cached_property
    def _prepared(self) -> tuple[Features, Features]:
        """Queries and gallery as the similarity compares them."""
        return self.similarity.prepare(self.queries), self.similarity.prepare(self.gallery)

    @torch.no_grad()
    def _blocks(self) -> Iterator[tuple[int, Float[Tensor, "r g"], Int[Tensor, "r m"], Bool[Tensor, "r m"]]]:
        """First query, scores, the right items of each row (as many columns as any row has), which of them are real."""
        device = self.queries.pooled.device
        ids, order = self.gallery_ids.to(device).sort(stable=True)
        asked = self.query_ids.to(device)
        first, last = torch.searchsorted(ids, asked), torch.searchsorted(ids, asked, right=True)
        step = max(1, self.cells // len(ids))
        for start in range(0, len(asked), step):
            rows = slice(start, start + step)
            count = (last - first)[rows, None]
            place = torch.arange(int(count.max()), device=device)
            # a row with fewer right items repeats its last one
            right = order[first[rows, None] + place.minimum(count - 1)]
            scores = self._scores(take(self._prepared[0], torch.arange(len(asked), device=device)[rows]))
            yield start, scores, right, place < count

    def _scores(self, queries: Features) -> Float[Tensor, "r g"]:
        """Scores of some queries with the whole gallery, which a similarity of tokens sees in parts."""
        size = len(self.gallery_ids)
        if not self.similarity.tokens or queries.tokens is None or self.gallery.tokens is None:
            return self.similarity.scores(queries, self._prepared[1])
        pair = queries.tokens.shape[0] * queries.tokens.shape[1] * self.gallery.tokens.shape[1]
        step = max(1, self.cells // pair)
        parts = [torch.arange(i, min(i + step, size)) for i in range(0, size, step)]
        return torch.cat([self.similarity.scores(queries, take(self._prepared[1], part)) for part in parts], 1)


def as_features(x: Features | Tensor | np.ndarray, what: str) -> Features:
    """Embeddings (b d) in float32, as Features. Raises ValueError, naming `what` and the row, if one is not finite."""
    pooled = x.pooled if isinstance(x, Features) else torch.as_tensor(x)
    if pooled.ndim != 2:
        raise ValueError(f"{what} embeddings must be a matrix (items x width), not of shape {tuple(pooled.shape)}")
    bad = ~pooled.isfinite().all(1)
    if bad.any():
        raise ValueError(f"{what} embedding {int(bad.nonzero()[0])} holds NaN or infinity; nothing can be ranked by it")
    if not isinstance(x, Features):
        return Features(pooled.detach().float())
    tokens = None if x.tokens is None else x.tokens.detach().float()
    return replace(x, pooled=pooled.detach().float(), tokens=tokens)


def _standing(scores: Float[Tensor, "r g"], right: Int[Tensor, "r m"], real: Bool[Tensor, "r m"]) -> Int[Tensor, "4 r"]:
    """The four counts of `Ranks` for some queries."""
    peak = torch.maximum(scores.amax(1, keepdim=True), -scores.amin(1, keepdim=True))
    if not peak.isfinite().all():  # the largest of a row with NaN is NaN
        raise ValueError("the similarity gave NaN or infinity for finite embeddings; nothing can be ranked by it")
    slack = TIE * peak
    own = scores.gather(1, right)
    best = own.amax(1, keepdim=True)
    # counted as floats, exactly up to 2^24: summing booleans takes ten times as long, and twice the memory
    flags = torch.empty_like(scores)
    above = torch.gt(scores, best + slack, out=flags).sum(1).long()
    near = torch.ge(scores, best - slack, out=flags).sum(1).long()
    level = ((own >= best - slack) & real).sum(1)
    return torch.stack([above, near - above - level, level, real.sum(1)])
