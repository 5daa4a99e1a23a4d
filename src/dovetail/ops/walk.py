"""A walk over a score matrix in tiles, from which a pair loss and its gradients come out; the matrix is never whole.

Up to three rounds over all tiles:

1. the statistics of every row and column: log-sum-exps, joined over tiles and processes;
2. the cost of the pairs that belong together, and its slope in each statistic (most tiles hold no such pair);
3. the gradient of every score s_ij: that of its own cost and, for each statistic Z_i = log sum_j exp(e_ij), the slope
   in Z_i times exp(e_ij - Z_i) times the gradient of the exponent e_ij. Autograd takes it through the similarity.

A pairwise loss has no statistics: its value and gradients come out of the third round alone. Small matrices are kept
from one round for the next, large ones made again. A tile is treated as if nothing in it belonged together; the few
pairs that do are put right one by one.

In several processes each has its rows and meets the columns of all, one process's at a time; the columns' statistics
and gradients are summed over processes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import EllipsisType

import torch
from torch import Tensor

from dovetail.contracts import Features, PairLoss, RowFacts, Similarity
from dovetail.ops.distributed import (
    add_over_processes,
    add_to_process,
    each_process,
    gather,
    joined_logsumexp,
    sum_over_processes,
    world_size,
)
from dovetail.ops.facts import Direction, logsumexp, shares, softmax, total
from dovetail.ops.sides import Pairs, Side, Targets
from dovetail.ops.tiles import Tile, numbers, tiles

CACHED, LARGE = 1 << 20, 1 << 24  # entries of a tile: what a CPU's cache holds; what keeps another device busy
KEPT = 1 << 24  # entries of a matrix that is kept between rounds: 64 MiB in float32
FEW = 16  # what belongs together is remembered where it is at most one pair in so many


@dataclass(frozen=True)
class Terms:
    """What is computed of each pair, and of how many at once (None: what is fast on the device)."""

    similarity: Similarity
    loss: PairLoss
    targets: Targets
    tile: int | None


Sight = Callable[[Tensor], Tensor]
"""What a part of the matrix sees of numbers that a direction has, so that they fit beside its scores."""

Part = tuple[Tensor, Tensor]
"""Something that the value depends on, and the value's slope in it."""


class Walk:
    """One walk. After `run`, `gradients` holds what belongs to each of `held` that is wanted, None for the others.

    both: the columns are rows of the other direction, too.
    held: the vectors and tokens of the rows, those of the columns, scale, bias, and the parameters of the loss and the
    similarity; None for what there is not.
    """

    def __init__(
        self, terms: Terms, rows: Side, cols: Side, both: bool, held: Sequence[Tensor | None], wanted: Sequence[bool]
    ):
        self.terms, self.loss, self.wanted = terms, terms.loss, wanted
        self.rows, self.cols = _detached(rows), _detached(cols)
        assert held[4] is not None
        self.scale, self.bias = held[4].detach(), None if held[5] is None else held[5].detach()
        pairs = list(zip(held, wanted, strict=True))
        self.gradients = [torch.zeros_like(x) if x is not None and w else None for x, w in pairs]
        self.learnt = [x for x, w in pairs[6:] if x is not None and w]
        self.learning = [x for x in self.gradients[6:] if x is not None]
        one = rows.features.pooled.new_zeros(1, 1)
        count, share = len(self.loss.exponents(one, None)), world_size() / (2 if both else 1)
        self.directions = [Direction.of(shares(rows.weights, share), count)]
        if both:
            self.directions.append(Direction.of(gather(shares(cols.weights, share)), count))
        every = int(sum_over_processes(torch.tensor(float(len(cols.ids)), device=one.device)))
        self.keeps = not self.loss.pairwise and len(rows.ids) * every * numbers(rows, cols) <= KEPT
        self._kept: dict[tuple[int, int], tuple[Tensor, list[Tensor | None]]] = {}
        self._known: dict[tuple[int, int], Pairs | None] = {}

    def run(self) -> Tensor:
        """The value, of which the mean over processes is that of the joined batch."""
        if self.loss.pairwise:
            return self._gradients()
        self._statistics()
        value = self._costs()
        if any(self.wanted):
            self._gradients()
        return value

    def _statistics(self) -> None:
        """Round 1."""
        for tile in self._tiles():
            scores, own = self._scores(self._alike(tile)[0].detach()), self._own(tile)
            exponents = self.loss.exponents(scores, None)
            if own is not None:
                right = self.loss.exponents(scores[own.at][:, None], own.targets)
                exponents = tuple(e.index_put(own.at, x[:, 0]) for e, x in zip(exponents, right, strict=True))
            ways = list(self._ways(tile))
            for k, e in enumerate(exponents):
                for (direction, at), found in zip(ways, logsumexp(e, (1, 0)[: len(ways)]), strict=True):
                    direction.statistics[k][at] = torch.logaddexp(direction.statistics[k][at], found)
            for axis, (direction, at) in enumerate(ways):
                if own is not None:
                    direction.total[at].index_add_(0, own.at[axis], own.targets)
        for direction in self.directions[1:]:
            add_over_processes(direction.total)
            for known in direction.statistics:
                known.copy_(joined_logsumexp(known))

    def _costs(self) -> Tensor:
        """Round 2: the value, and its slopes."""
        value = self.rows.features.pooled.new_zeros(())
        for tile in self._tiles():
            own = self._own(tile)
            if own is None:
                continue
            scores = self._scores(self._alike(tile)[0].detach()[own.at][:, None])
            for axis, (direction, at) in enumerate(self._ways(tile)):
                which = own.at[axis]
                with torch.enable_grad():
                    known = tuple(x[at].requires_grad_() for x in direction.statistics)
                    facts = RowFacts(direction.total[at][which], tuple(x[which] for x in known))
                    cost = (self.loss.costs(scores, own.targets, facts) * direction.weights[at][which]).sum()
                    found = torch.autograd.grad(cost, known, allow_unused=True) if known else ()
                value += cost.detach()
                for slope, x in zip(direction.slopes, found, strict=True):
                    _add(slope, at, x)
        for direction in self.directions[1:]:
            for slope in direction.slopes:
                add_over_processes(slope)
        return value

    def _gradients(self) -> Tensor:
        """Round 3, and the value of a pairwise loss."""
        value = self.rows.features.pooled.new_zeros(())
        for rank, offset, cols in self._columns():
            inputs = zip((cols.features.pooled, cols.features.tokens), self.wanted[2:4], strict=True)
            found = [torch.zeros_like(x) if x is not None and w else None for x, w in inputs]
            for tile in self._tiles_of(cols, offset):
                value += self._gradient(tile, found)
            for i, x in enumerate(found, 2):
                if x is not None and add_to_process(x, rank):
                    self.gradients[i] = x
        for x in self.gradients[:4]:
            if x is not None:
                x.mul_(self.scale)  # here, and not in every tile
        return value

    def _gradient(self, tile: Tile, cols: list[Tensor | None]) -> Tensor:
        """Adds a tile's gradients to those of the rows, of `cols` and of all else. Its value, for a pairwise loss."""
        learning, own = any(self.wanted), self._own(tile)
        alike, leaves = self._alike(tile, learning)
        self._kept.pop(tile.key, None)
        scores = self._scores(alike.detach())
        few = scores[own.at][:, None] if own is not None else scores.new_zeros(0, 1)
        with torch.set_grad_enabled(learning):
            every = self._parts(scores.requires_grad_(learning), None, [lambda x: x[tile.row], lambda x: x[tile.col].T])
            single: list[Part] = []
            if own is not None:
                every = [(x, slope.index_put_(own.at, slope.new_zeros(()))) for x, slope in every]
                sights: list[Sight] = [lambda x: x[tile.row][own.at[0]], lambda x: x[tile.col][own.at[1]]]
                single = self._parts(few.requires_grad_(learning), own.targets, sights)
        value = scores.new_zeros(())
        if self.loss.pairwise:
            value += torch.stack([torch.dot(x.detach().flatten(), s.flatten()) for x, s in every + single]).sum()
        if learning:
            gradient = self._back(every, scores)
            if own is not None:
                gradient[own.at] += self._back(single, few)[:, 0]
            self._spread(tile, alike, leaves, gradient, cols)
        return value

    def _parts(self, scores: Tensor, targets: Tensor | None, sights: Sequence[Sight]) -> list[Part]:
        """What the value depends on: all the pairs as if none belonged together (targets None), or some that do."""
        ways = list(zip(self.directions, sights, strict=False))
        if self.loss.pairwise:  # a pair costs the same in both directions
            slope = total([see(d.weights) for d, see in ways])
            slope = slope if slope.shape == scores.shape and len(ways) > 1 else slope.expand_as(scores).clone()
            none = RowFacts(scores.new_zeros(len(scores), 1), ())
            return [(self.loss.costs(scores, targets, none), slope)]
        parts = []
        for k, e in enumerate(self.loss.exponents(scores, targets)):
            statistics, slopes = [see(d.statistics[k]) for d, see in ways], [see(d.slopes[k]) for d, see in ways]
            parts.append((e, softmax(e.detach(), statistics, slopes)))
        if targets is not None:
            for d, see in ways:
                facts = RowFacts(see(d.total), tuple(see(x) for x in d.statistics))
                parts.append((self.loss.costs(scores, targets, facts), see(d.weights)))
        return parts

    def _back(self, parts: list[Part], scores: Tensor) -> Tensor:
        """The gradient in the scores; that in what the loss learns is added to what is known of it."""
        parts = [(x, slope) for x, slope in parts if x.requires_grad]  # else it depends on the statistics alone
        if not parts:
            return torch.zeros_like(scores)
        outputs, slopes = zip(*parts, strict=True)
        found, *learnt = torch.autograd.grad(outputs, [scores, *self.learnt], slopes, allow_unused=True)
        for held, x in zip(self.learning, learnt, strict=True):
            _add(held, ..., x)
        return torch.zeros_like(scores) if found is None else found

    def _spread(
        self, tile: Tile, alike: Tensor, leaves: list[Tensor | None], gradient: Tensor, cols: list[Tensor | None]
    ) -> None:
        """Takes the gradient of a tile's scores to all that they come from."""
        _add(self.gradients[4], ..., torch.dot(gradient.flatten(), alike.detach().flatten()))
        _add(self.gradients[5], ..., gradient.sum())
        if not alike.requires_grad:
            return
        places = zip([*self.gradients[:2], *cols], (tile.row, tile.row, tile.within, tile.within), strict=True)
        wanted = [(x, place) for x, place in zip(leaves, places, strict=True) if x is not None and x.requires_grad]
        found = torch.autograd.grad(alike, [*(x for x, _ in wanted), *self.learnt], gradient, allow_unused=True)
        for (_, (place, at)), x in zip(wanted, found, strict=False):
            _add(place, at, x)
        for held, x in zip(self.learning, found[len(wanted) :], strict=True):
            _add(held, ..., None if x is None else x * self.scale)

    def _scores(self, alike: Tensor) -> Tensor:
        scores = alike * self.scale
        return scores if self.bias is None else scores.add_(self.bias)

    def _own(self, tile: Tile) -> Pairs | None:
        if tile.key in self._known:
            return self._known[tile.key]
        own = self.terms.targets(tile.rows, tile.cols)
        if own is not None:  # made of facts that may be less or more exact than the features
            own = Pairs(own.at, own.targets.to(self.rows.weights))
        if own is None or FEW * len(own.targets) <= len(tile.rows.ids) * len(tile.cols.ids):
            self._known[tile.key] = own
        return own

    def _ways(self, tile: Tile) -> Iterator[tuple[Direction, slice]]:
        """The directions, and where the tile lies in each."""
        yield from zip(self.directions, (tile.row, tile.col), strict=False)

    def _alike(self, tile: Tile, learning: bool = False) -> tuple[Tensor, list[Tensor | None]]:
        """The similarities of a tile, and the vectors and tokens of its rows and columns that they come from."""
        if tile.key in self._kept:
            return self._kept[tile.key]
        with torch.set_grad_enabled(learning or self.keeps):
            rows, cols = tile.rows.features, tile.cols.features
            held = zip((rows.pooled, rows.tokens, cols.pooled, cols.tokens), self.wanted[:4], strict=True)
            leaves = [None if x is None else x.detach().requires_grad_(w) for x, w in held]
            a, b = _with(rows, leaves[0], leaves[1]), _with(cols, leaves[2], leaves[3])
            found = self.terms.similarity.scores(a, b), leaves
        if self.keeps:
            self._kept[tile.key] = found
        return found

    def _columns(self) -> Iterator[tuple[int, int, Side]]:
        """The columns of each process in turn: its rank, the number of columns before, and they themselves."""
        c, f, offset = self.cols, self.cols.features, 0
        for rank, held in enumerate(each_process([f.pooled, f.tokens, f.mask, c.ids, c.weights, c.facts])):
            pooled, tokens, mask, ids, weights, facts = held
            assert pooled is not None and ids is not None and weights is not None
            yield rank, offset, Side(Features(pooled, tokens, mask, f.grid), ids, weights, facts)
            offset += len(ids)

    def _tiles(self) -> Iterator[Tile]:
        for _, offset, cols in self._columns():
            yield from self._tiles_of(cols, offset)

    def _tiles_of(self, cols: Side, offset: int) -> Iterator[Tile]:
        most = self.terms.tile or (CACHED if cols.ids.device.type == "cpu" else LARGE)
        return tiles(self.rows, cols, offset, max(1, most // numbers(self.rows, cols)))


def _detached(side: Side) -> Side:
    f = side.features
    tokens, facts = (None if x is None else x.detach() for x in (f.tokens, side.facts))
    return Side(Features(f.pooled.detach(), tokens, f.mask, f.grid), side.ids, side.weights.detach(), facts)


def _with(features: Features, pooled: Tensor | None, tokens: Tensor | None) -> Features:
    assert pooled is not None
    return Features(pooled, tokens, features.mask, features.grid)


def _add(total: Tensor | None, at: slice | EllipsisType, x: Tensor | None) -> None:
    """Adds to a part of a sum, if there is something to add and anybody wants it."""
    if total is not None and x is not None:
        total[at] += x
