"""CLOC against the paper's sums in loops, and its claim."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from dovetail.contracts import Batch, Captions, Features, Kind, Regions, Tokens
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, scenes
from dovetail.evaluation.worlds.localisation import LocalisationBenchmark
from dovetail.methods.objectives.cloc import CLOC, Prompted
from dovetail.models.contrasting import Encoded
from tests.contracts.samples import batch as sample
from tests.contracts.samples import begun

Rows = list[list[float]]
SCALE, OWNER, WORDS = 3.0, [0, 0, 2, 2, 3], [[5, 6], [7, 8], [5, 6], [9, 9], [4, 0]]
SAID = [0, 1, 0, 2, 3]  # the words of each phrase: the third's are the first's
BOXES = [[0.0, 0.1, 0.5, 0.6], [0.2, 0.2, 0.9, 1.0], [0.0, 0.0, 1.0, 1.0], [0.3, 0.1, 0.4, 0.3], [0.5, 0.5, 0.7, 0.9]]
ALIKE = 0.7


def _cosine(a: list[float], b: list[float]) -> float:
    return sum(p * q for p, q in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def _one_way(a: Rows, b: Rows, phrases: Rows) -> float:
    """Each of a finds its own of b; phrases that are alike are left out of the denominator."""
    total = 0.0
    for i, x in enumerate(a):
        scores = [SCALE * _cosine(x, y) for y in b]
        among = [j for j in range(len(b)) if j == i or _cosine(phrases[i], phrases[j]) <= ALIKE]
        total += (math.log(sum(math.exp(scores[j]) for j in among)) - scores[i]) / len(a)
    return total


def _defined(seen: Rows, words: Rows, boxes: Rows, fixed: Rows) -> tuple[float, float]:
    """fixed: the phrases by which alike ones are told, through which no gradient flows."""
    phrases = [words[i] for i in SAID]
    share, local = 3 / 4, (_one_way(seen, phrases, fixed) + _one_way(phrases, seen, fixed)) / 2
    error = sum((p - q) ** 2 for a, b in zip(boxes, BOXES, strict=True) for p, q in zip(a, b, strict=True))
    return share * local, share * error / (4 * len(OWNER))


def _batch() -> Batch:
    words = torch.tensor(WORDS)
    owner = torch.arange(4)
    captions = Captions(Tokens(owner[:, None] + 1, owner[:, None] >= 0), owner, torch.full((4,), int(Kind.RAW)))
    regions = Regions(torch.tensor(BOXES), torch.tensor(OWNER), Tokens(words, words > 0))
    return Batch(torch.zeros(4, 3, 4, 4, dtype=torch.uint8), captions, owner, regions=regions)


def _points() -> list[Tensor]:
    """What is seen, the words of the phrases (two of them alike), boxes."""
    torch.manual_seed(2)
    seen, words, boxes = (torch.randn(n, d, dtype=torch.float64) for n, d in ((5, 3), (4, 3), (5, 4)))
    words[3] = words[1] + 0.1
    return [x.requires_grad_() for x in (seen, words, boxes)]


def test_oracle() -> None:
    points, whole = _points(), torch.randn(4, 3, dtype=torch.float64)
    pairs = Encoded(Features(whole), Features(whole), torch.tensor(SCALE, dtype=torch.float64), None)
    terms = CLOC(alike=ALIKE).terms(Prompted(pairs, points[1][SAID], points[0], points[2]), _batch())
    lists: list[Any] = [x.tolist() for x in points]
    fixed = points[1][SAID].tolist()
    assert _cosine(fixed[1], fixed[4]) > ALIKE > _cosine(fixed[0], fixed[1])
    found = terms["regions"].item(), terms["grounding"].item()
    assert found == pytest.approx(_defined(lists[0], lists[1], lists[2], fixed), abs=1e-6)
    gradients = torch.autograd.grad(terms["regions"] + terms["grounding"], points)
    _compared(lists, gradients, lambda: sum(_defined(lists[0], lists[1], lists[2], fixed)))


def _compared(lists: list[Any], gradients: Any, value: Callable[[], float]) -> None:
    for items, gradient in zip(lists, gradients, strict=True):
        for i, k in product(*map(range, gradient.shape)):
            kept, values = items[i][k], []
            for step in (1e-6, -1e-6):
                items[i][k] = kept + step
                values.append(value())
            items[i][k] = kept
            assert gradient[i, k].item() == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-6)


def test_a_box_is_seen_by_itself_and_found_by_its_phrase() -> None:
    objective = CLOC()
    model, data = begun(objective).eval(), sample()
    assert data.regions is not None
    boxes, words = data.regions.boxes.clone(), data.regions.phrases.ids.clone()
    boxes[1, 2] += 0.05
    words[1, 0] += 1
    before = objective.encode(model, data)
    for regions, changed, kept in (
        (replace(data.regions, boxes=boxes), "seen", "boxes"),
        (replace(data.regions, phrases=Tokens(words, data.regions.phrases.mask)), "boxes", "seen"),
    ):
        after = objective.encode(model, replace(data, regions=regions))
        differs = (getattr(before, changed) - getattr(after, changed)).abs().amax(1) > 1e-6
        assert differs.tolist() == [i == 1 for i in range(6)]
        torch.testing.assert_close(getattr(before, kept), getattr(after, kept))


def test_a_batch_without_regions_costs_as_contrastive_does() -> None:
    objective = CLOC()
    model, data = begun(objective), replace(sample(), regions=None)
    terms = objective.terms(objective.encode(model, data), data)
    assert terms["regions"] == terms["grounding"] == 0 and terms["contrastive"] > 0
    torch.stack(list(terms.values())).sum().backward()
    assert all(p.grad is not None for p in objective.parameters())


CLAIM = Claim(
    says="Regions that are cut out fit their own phrases better than after InfoNCE with captions alone.",
    method=replace(RECIPE, objective="cloc"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=LocalisationBenchmark(held_out(GROUPS)),
    metric="phrase_to_region/accuracy",
)
