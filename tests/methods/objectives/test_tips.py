"""TIPS against its definition in loops, its teacher and masks over steps, and the claim that it finds regions."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from dovetail.contracts import Batch, Features, Kind
from dovetail.data.records import DataError
from dovetail.data.worlds import Telling
from dovetail.data.worlds.words.noise import Noise
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, larger, scenes
from dovetail.evaluation.worlds.localisation import LocalisationBenchmark
from dovetail.methods.encoders.vit import ViT
from dovetail.methods.objectives.tips import TIPS, Looked
from dovetail.models.contrasting import Encoded
from dovetail.ops.draws import chosen
from tests.contracts.samples import batch, begun
from tests.models.small import model as small

# Image 1 has no synthetic caption, image 3 no web text; the fifth caption is a hard negative.
OWNER = [0, 0, 1, 2, 2, 2, 3, 4, 4]
KIND = [Kind.RAW, Kind.SYNTHETIC, Kind.RAW, Kind.RAW, Kind.NEGATIVE, Kind.SYNTHETIC, Kind.SYNTHETIC, Kind.RAW]
KIND.append(Kind.SYNTHETIC)
SCALE = 4.0


def _batch(objective: TIPS) -> Batch:
    data = batch(objective)
    tokens = data.captions.tokens
    ids, mask = (torch.cat([x, x[:1]]) for x in (tokens.ids, tokens.mask))
    captions = replace(
        data.captions,
        tokens=replace(tokens, ids=ids, mask=mask),
        owner=torch.tensor(OWNER),
        kind=torch.tensor([int(k) for k in KIND]),
    )
    return replace(data, captions=captions, ids=torch.arange(5), weights=torch.tensor([1.0, 2.0, 0.5, 1.0, 1.0]))


def _clip(x: list[list[float]], y: list[list[float]], columns: list[int], weights: list[float]) -> float:
    """InfoNCE both ways between the images that own one of the columns and those texts, one each."""
    unit = [[[v / math.hypot(*row) for v in row] for row in side] for side in (x, y)]
    score = [[SCALE * sum(a * b for a, b in zip(p, q, strict=True)) for q in unit[1]] for p in unit[0]]
    asked = [j for j in columns if KIND[j] != Kind.NEGATIVE]
    there = back = 0.0
    for j in asked:
        i, w = OWNER[j], weights[OWNER[j]]
        there += w * (math.log(sum(math.exp(score[i][k]) for k in columns)) - score[i][j])
        back += w * (math.log(sum(math.exp(row[j]) for row in score)) - score[i][j])
    return (there + back) / 2 / sum(weights[OWNER[j]] for j in asked)


def test_oracle_of_the_terms() -> None:
    objective = TIPS(distill=0.5, mask=3.0).eval()
    data = _batch(objective)
    assert data.weights is not None
    e, f, y = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (5, 5, 9))
    crops, masked = torch.rand(10).double(), torch.rand(5).double()
    pairs = Encoded(Features(e), Features(y), torch.tensor(SCALE).double(), None)
    found = objective.terms(Looked(pairs, f, crops, masked, (masked[:, None], masked[:, None])), data)
    weights = data.weights.tolist()
    web = [j for j, k in enumerate(KIND) if k != Kind.SYNTHETIC]
    written = [j for j, k in enumerate(KIND) if k == Kind.SYNTHETIC]
    sides = [e.tolist(), f.tolist(), y.tolist()]

    def value() -> float:
        return (_clip(sides[0], sides[2], web, weights) + _clip(sides[1], sides[2], written, weights)) / 2

    total = found["web"] + found["synthetic"]
    assert total.item() == pytest.approx(value(), abs=1e-10)
    for rows, gradient in zip(sides, torch.autograd.grad(total, [e, f, y]), strict=True):
        for i, k in ((i, k) for i in range(len(rows)) for k in range(3)):
            kept, ends = rows[i][k], []
            for step in (1e-6, -1e-6):
                rows[i][k] = kept + step
                ends.append(value())
            rows[i][k] = kept
            assert float(gradient[i, k]) == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-7)
    local = sum(weights[i // 2] * c for i, c in enumerate(crops.tolist())) / (2 * sum(weights))
    assert found["local to global"].item() == pytest.approx(0.5 * local)
    hidden = sum(w * c for w, c in zip(weights, masked.tolist(), strict=True)) / sum(weights)
    assert found["masked patches"].item() == pytest.approx(3 * hidden)


def _cross_entropy(pupil: Tensor, teacher: Tensor) -> float:
    """From head outputs of one thing, the centre still zero."""
    wanted, said = (teacher / 0.04).softmax(0), (pupil / 0.1).log_softmax(0)
    return -sum(float(w) * float(s) for w, s in zip(wanted, said, strict=True))


def test_what_is_encoded() -> None:
    """Image by image and patch by patch, from the towers and heads."""
    objective: Any = TIPS(masked=0.3, prototypes=6, inner=8)
    model: Any = begun(objective).eval()
    data = _batch(objective)
    assert data.views is not None
    torch.nn.init.normal_(objective.pattern)
    with torch.no_grad():
        model.image.patches.weight.add_(torch.randn_like(model.image.patches.weight) * 0.1)  # the teacher trails
        found = objective.encode(model, data)
        for i in range(5):
            pixels = model.preprocessing.normalise(data.images[i : i + 1])
            taught = objective.teacher.module(pixels)
            whole = objective.whole.teacher(taught.pooled)[0]
            for v in (2 * i, 2 * i + 1):
                crop = model.image(model.preprocessing.normalise(data.views.images[v : v + 1])).pooled
                assert float(found.crops[v]) == pytest.approx(
                    _cross_entropy(objective.whole.pupil(crop)[0], whole), 1e-4
                )
            places = [p for p in range(16) if _is_masked(objective, int(data.ids[i]), p)]
            assert len(places) == 5
            for p in places:
                at = slice(p // 4 * 8, p // 4 * 8 + 8), slice(p % 4 * 8, p % 4 * 8 + 8)
                pixels[0, :, at[0], at[1]] = objective.pattern
            filled = objective.patch.pupil(model.image(pixels).tokens[0])
            told = objective.patch.teacher(taught.tokens[0])
            costs = [_cross_entropy(filled[p], told[p]) for p in places]
            assert float(found.masked[i]) == pytest.approx(sum(costs) / 5, 1e-4)
            torch.testing.assert_close(found.said[1][i], told[places].mean(0))


def _is_masked(objective: TIPS, key: int, place: int) -> bool:
    return bool(chosen(torch.tensor([key]), 16, 5, objective.step)[0, place])


def test_the_teacher_trails_the_tower_and_the_masks_change_with_the_step() -> None:
    objective: Any = TIPS(prototypes=6, inner=8, decay=0.5)
    model: Any = begun(objective)
    before, step = objective.teacher.module.positions.clone(), objective.step
    torch.nn.init.zeros_(model.image.positions)
    objective.terms(objective.encode(model, data := _batch(objective)), data)
    objective.advance(model, 0.0)
    torch.testing.assert_close(objective.teacher.module.positions, before / 2)
    assert objective.step != step and objective.whole.centre.any() and objective.patch.centre.any()
    assert not any(p.requires_grad for p in objective.teacher.parameters())


def test_it_needs_a_grid_of_patches() -> None:
    objective = TIPS(prototypes=6, inner=8)
    objective.begin(model := small(), [])
    model.image = ViT(size=30, patch=10, width=32, depth=1, heads=2)
    model.preprocessing = replace(model.preprocessing, size=30)
    objective.begin(model, [])
    model.image.forward = lambda x: Features(x.mean((2, 3)))  # type: ignore[method-assign]
    with pytest.raises(DataError, match="no patches on 30 x 30 pixels: take a tower"):
        objective.begin(model, [])


# The web's texts are often wrong or vague; what is written of a picture is true and tells more of it.
_TOLD = Telling(("short", "full"), Noise(wrong=0.2, vague=0.2), synthetic=("full",))
CLAIM = Claim(
    says="From noisy and synthetic texts it tells which part of a picture a phrase is of better than InfoNCE.",
    method=replace(RECIPE, objective="tips(prototypes=256, inner=256, decay=0.99)", captions_per_image=2),
    baseline=replace(RECIPE, objective="infonce", captions_per_image=2),
    train=scenes(replace(GROUPS, telling=_TOLD)),
    benchmark=LocalisationBenchmark(held_out(GROUPS)),
    metric="phrase_to_region/accuracy",
)
CLAIM_GPU = larger(CLAIM)
