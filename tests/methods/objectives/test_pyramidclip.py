"""PyramidCLIP against its definition in loops, what is seen of objects, and its claim."""

import math
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from dovetail.contracts import Batch, Captions, Features, Kind, Regions, Tokens, Views
from dovetail.data.records import DataError
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, scenes
from dovetail.methods.objectives.pyramidclip import Levels, PyramidCLIP
from dovetail.models.contrasting import Encoded
from tests.contracts.samples import batch as sample
from tests.contracts.samples import begun, dual_encoder

Rows = list[list[float]]
Things = tuple[Rows, list[int], list[float]]  # vectors, ids, weights
SCALE, SMOOTHING = 3.0, 0.2
IDS, WITH = [7, 8, 7, 9], [0, 3]  # the third is the first again, without regions
OWNER = [0, 0, 0, 1, 2, 3, 3]
KIND = [Kind.LONG, Kind.RAW, Kind.NEGATIVE, Kind.RAW, Kind.LONG, Kind.SYNTHETIC, Kind.RAW]
TEXT, SUMMARY = [0, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]


def _cosine(a: list[float], b: list[float]) -> float:
    return sum(p * q for p, q in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def _one_way(rows: Things, cols: Things) -> float:
    total = 0.0
    for x, name, weight in zip(*rows, strict=True):
        scores = [SCALE * _cosine(x, y) for y in cols[0]]
        own = [s for s, other in zip(scores, cols[1], strict=True) if other == name]
        others = [s for s, other in zip(scores, cols[1], strict=True) if other != name]
        for s in own:
            whole = math.log(sum(map(math.exp, [s, *others])))
            cost = (1 - SMOOTHING) * (whole - s) + sum(SMOOTHING / len(others) * (whole - o) for o in others)
            total += weight * cost / len(own)
    return total / sum(rows[2])


def _meet(left: Things, right: Things) -> float:
    return (_one_way(left, right) + _one_way(right, left)) / 2


def _defined(images: Rows, texts: Rows, crops: Rows, objects: Rows, words: Rows) -> tuple[float, float, float]:
    ones, some = [1.0] * 4, [float(i in WITH) for i in range(4)]
    ids = [-1 if kind == Kind.NEGATIVE else IDS[i] for i, kind in zip(OWNER, KIND, strict=True)]

    def told(which: list[int], weights: list[float]) -> Things:
        return [texts[j] for j in which], [ids[j] for j in which], [weights[OWNER[j]] * (ids[j] > 0) for j in which]

    r, a = ((x, [IDS[i] for i in WITH], [1.0, 1.0]) for x in (objects, words))
    peers = _meet((images, IDS, ones), told(SUMMARY, ones)) + _meet((crops, IDS, ones), told(TEXT, ones))
    picture = _meet((images, IDS, some), a) + _meet(r, told(SUMMARY, some))
    part = _meet((crops, IDS, some), a) + _meet(r, told(TEXT, some))
    return 0.25 * peers / 2, 0.5 * picture / 2, 0.25 * part / 2


def _batch() -> Batch:
    owner = torch.tensor(OWNER)
    captions = Captions(
        Tokens(owner[:, None] + 1, owner[:, None] >= 0), owner, torch.tensor([int(kind) for kind in KIND])
    )
    phrases = Tokens(torch.ones(3, 1, dtype=torch.int64), torch.ones(3, 1, dtype=torch.bool))
    pixels = torch.zeros(4, 3, 4, 4, dtype=torch.uint8)
    views = Views(pixels, torch.arange(4), torch.zeros(4, dtype=torch.int64))
    regions = Regions(torch.rand(3, 4), torch.tensor([0, 3, 3]), phrases)
    return Batch(pixels, captions, torch.tensor(IDS), regions=regions, views=views)


def test_oracle() -> None:
    torch.manual_seed(1)
    points = [torch.randn(n, 3, dtype=torch.float64).requires_grad_() for n in (4, 7, 4, 2, 2)]
    pairs = Encoded(Features(points[0]), Features(points[1]), points[0].new_tensor(SCALE), None)
    terms = PyramidCLIP(SMOOTHING, 0.5, 0.25).terms(Levels(pairs, points[2], points[3], points[4]), _batch())
    lists: list[Any] = [x.tolist() for x in points]
    assert [x.item() for x in terms.values()] == pytest.approx(_defined(*lists), abs=1e-10)
    gradients = torch.autograd.grad(torch.stack(list(terms.values())).sum(), points)
    for items, gradient in zip(lists, gradients, strict=True):
        for i, k in product(*map(range, gradient.shape)):
            kept, values = items[i][k], []
            for step in (1e-6, -1e-6):
                items[i][k] = kept + step
                values.append(sum(_defined(*lists)))
            items[i][k] = kept
            assert gradient[i, k].item() == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-6)


def _encoded(objective: PyramidCLIP, model: Any, data: Batch) -> Tensor:
    found: Tensor = objective.encode(model, data).objects
    return found


def test_objects_are_told_by_what_is_in_their_boxes_and_where_these_lie() -> None:
    objective = PyramidCLIP(heads=2)
    model = begun(objective).eval()
    data = sample(objective)
    assert data.regions is not None
    before = _encoded(objective, model, data)
    assert before.shape == (3, 16), "images 0, 2 and 3 have regions"
    boxes = data.regions.boxes.clone()
    boxes[1, 0] += 0.03
    after = _encoded(objective, model, replace(data, regions=replace(data.regions, boxes=boxes)))
    assert ((before - after).abs().amax(1) > 1e-6).tolist() == [True, False, False]
    pixels = data.images.clone()
    pixels[2] = 255 - pixels[2]
    after = _encoded(objective, model, replace(data, images=pixels))
    assert ((before - after).abs().amax(1) > 1e-6).tolist() == [False, True, False]


def test_a_batch_without_regions_has_its_peers() -> None:
    objective = PyramidCLIP(heads=2)
    model = begun(objective)
    data = replace(sample(objective), regions=None)
    terms = objective.terms(objective.encode(model, data), data)
    assert terms["picture"] == terms["part"] == 0 and terms["peers"] > 0
    torch.stack(list(terms.values())).sum().backward()
    assert all(p.grad is not None for p in objective.parameters())


def test_heads_that_do_not_divide_are_named() -> None:
    with pytest.raises(DataError, match=r"pyramidclip\(heads=3\) does not divide image tokens of 32"):
        PyramidCLIP(heads=3).begin(dual_encoder(), [])


CLAIM = Claim(
    says="With boxes and phrases of what is in the pictures it retrieves better than InfoNCE after the same steps.",
    method=replace(RECIPE, objective="pyramidclip"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
