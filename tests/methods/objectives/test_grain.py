"""GRAIN against its definition in loops over every matching, and its claim."""

import math
from dataclasses import replace
from itertools import permutations, product
from typing import Any

import pytest
import torch
from torch import Tensor

from dovetail.contracts import Batch, Captions, Features, Kind, Regions, Tokens
from dovetail.data.records import DataError
from dovetail.data.worlds import Sampler, Telling, World
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, LEARNABLE, RECIPE, held_out, scenes
from dovetail.evaluation.worlds.attributes import AttributeBenchmark
from dovetail.methods.objectives.grain import GRAIN, Found
from dovetail.models.contrasting import Encoded
from tests.contracts.samples import batch as sample
from tests.contracts.samples import begun, dual_encoder

Row = list[float]
Rows = list[Row]
QUERIES, SCALE = 3, 3.0
OWNER, WORDS = [0, 0, 2, 2, 2, 2], [[5, 6], [7, 8], [5, 6], [9, 9], [4, 0], [3, 3]]  # the third phrase is the first
BOXES = [[0.0, 0.1, 0.5, 0.6], [0.2, 0.2, 0.9, 1.0], [0.0, 0.0, 1.0, 1.0]]
BOXES += [[0.3, 0.1, 0.4, 0.3], [0.5, 0.5, 0.7, 0.9], [0.1, 0.7, 0.3, 0.8]]


def _cosine(a: Row, b: Row) -> float:
    return sum(p * q for p, q in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def _far(a: Row, b: Row) -> float:
    def form(x: Row) -> Row:
        return [(x[0] + x[2]) / 2, (x[1] + x[3]) / 2, x[2] - x[0], x[3] - x[1]]

    return sum(abs(p - q) for p, q in zip(form(a), form(b), strict=True))


def _giou(a: Row, b: Row) -> float:
    def area(x: Row) -> float:
        return max(0, x[2] - x[0]) * max(0, x[3] - x[1])

    shared = area([*map(max, a[:2], b[:2]), *map(min, a[2:], b[2:])])
    either = area(a) + area(b) - shared
    hull = area([*map(min, a[:2], b[:2]), *map(max, a[2:], b[2:])])
    return shared / either - (hull - either) / hull


def _matching(boxes: list[Rows]) -> list[tuple[int, int]]:
    """Region and query of each pair, the cheapest way of all; an image of four regions leaves one out."""
    pairs = []
    for i, found in enumerate(boxes):
        mine = [r for r, owner in enumerate(OWNER) if owner == i]
        count = min(len(mine), QUERIES)
        ways = [
            list(zip(regions, queries, strict=True))
            for regions in permutations(mine, count)
            for queries in permutations(range(QUERIES), count)
        ]
        costs = [sum(5 * _far(found[q], BOXES[r]) - 2 * _giou(found[q], BOXES[r]) for r, q in way) for way in ways]
        pairs += ways[costs.index(min(costs))]
    return pairs


def _defined(vectors: list[Rows], boxes: list[Rows], told: Rows) -> tuple[float, float]:
    pairs, box, region = _matching(boxes), 0.0, 0.0
    for r, q in pairs:
        found = boxes[OWNER[r]][q]
        box += (_far(found, BOXES[r]) + 1 - _giou(found, BOXES[r])) / len(pairs)
        scores = [SCALE * _cosine(vectors[OWNER[r]][q], y) for y in told]
        own = [s for s, words in zip(scores, WORDS, strict=True) if words == WORDS[r]]
        others = sum(math.exp(s) for s, words in zip(scores, WORDS, strict=True) if words != WORDS[r])
        region += sum(math.log(math.exp(s) + others) - s for s in own) / len(own) / len(pairs)
    return 1.5 * box, region


def _batch() -> Batch:
    words, owner = torch.tensor(WORDS), torch.arange(3)
    captions = Captions(Tokens(owner[:, None] + 1, owner[:, None] >= 0), owner, torch.full((3,), int(Kind.RAW)))
    regions = Regions(torch.tensor(BOXES), torch.tensor(OWNER), Tokens(words, words > 0))
    return Batch(torch.zeros(3, 3, 4, 4, dtype=torch.uint8), captions, owner, regions=regions)


def _points() -> list[Tensor]:
    torch.manual_seed(2)
    first = torch.rand(3, QUERIES, 2, dtype=torch.float64)
    boxes = torch.cat([first, first + 0.1 + torch.rand(3, QUERIES, 2, dtype=torch.float64)], 2)
    told = torch.randn(6, 4, dtype=torch.float64)
    return [x.requires_grad_() for x in (torch.randn(3, QUERIES, 4, dtype=torch.float64), boxes, told)]


def test_oracle() -> None:
    points, whole = _points(), torch.randn(3, 4, dtype=torch.float64)
    pairs = Encoded(Features(whole), Features(whole), torch.tensor(SCALE, dtype=torch.float64), None)
    terms = GRAIN().terms(Found(pairs, points[2], points[0], points[1]), _batch())
    lists: list[Any] = [x.tolist() for x in points]
    found = terms["boxes"].item(), terms["regions"].item()
    assert found == pytest.approx(_defined(*lists), abs=1e-6)  # boxes come in single precision
    gradients = torch.autograd.grad(terms["boxes"] + terms["regions"], points)
    for items, gradient in zip(lists, gradients, strict=True):
        for at in product(*map(range, gradient.shape)):
            row = items[at[0]] if len(at) == 2 else items[at[0]][at[1]]
            kept, values = row[at[-1]], []
            for step in (1e-6, -1e-6):
                row[at[-1]] = kept + step
                values.append(sum(_defined(*lists)))
            row[at[-1]] = kept
            assert gradient[at].item() == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-5)


def test_a_batch_without_regions_costs_as_contrastive_does() -> None:
    objective = GRAIN(queries=2, depth=1, heads=2)
    model, data = begun(objective), replace(sample(), regions=None)
    terms = objective.terms(objective.encode(model, data), data)
    assert terms["boxes"] == terms["regions"] == 0 and terms["contrastive"] > 0
    torch.stack(list(terms.values())).sum().backward()
    assert all(p.grad is not None for p in objective.parameters())


def test_heads_that_do_not_divide_are_named() -> None:
    with pytest.raises(DataError, match=r"grain\(heads=3\) does not divide embeddings of 16"):
        GRAIN(heads=3).begin(dual_encoder(), [])


ALONE = World(Sampler((1, 1), LEARNABLE), telling=Telling(("short", "full")))
CLAIM = Claim(
    says="Trained on scenes of several things, it names a single one better than InfoNCE with captions alone.",
    method=replace(RECIPE, objective="grain"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=AttributeBenchmark(held_out(ALONE)),
    metric="combination/top1",
)
