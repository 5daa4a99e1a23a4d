"""ImageBind: the second stage against its definition in loops, and what each stage changes of the model."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dovetail.catalogue import configuration, rebuild
from dovetail.contracts import Batch, Captions, Features, Kind, Modality, Tokens
from dovetail.data.records import DataError
from dovetail.data.worlds import STYLES
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, scenes
from dovetail.evaluation.senses import SenseBenchmark
from dovetail.methods.schedules.imagebind import ImageBind
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.pretrained import load, save
from tests.contracts.samples import batch as sample
from tests.models.small import model, pictures

IDS, WEIGHTS, OWNER, SCALE = [4, 5, 4, 6], [1.0, 2.0, 0.5, 3.0], [3, 0, 1, 2], 3.0
Matrix = list[list[float]]


def _cosine(a: list[float], b: list[float]) -> float:
    return sum(p * q for p, q in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def _defined(x: Matrix, u: Matrix) -> float:
    """u_k was seen of image OWNER[k]; equal ids are positives, each against the negatives."""
    rows = [x[i] for i in OWNER]
    ids, weights = [IDS[i] for i in OWNER], [WEIGHTS[i] for i in OWNER]
    total = 0.0
    for a, b in ((rows, u), (u, rows)):
        for i, row in enumerate(a):
            scores = [SCALE * _cosine(row, col) for col in b]
            near = [s for s, j in zip(scores, ids, strict=True) if j == ids[i]]
            far = sum(math.exp(s) for s, j in zip(scores, ids, strict=True) if j != ids[i])
            total += weights[i] * sum(math.log(1 + far / math.exp(s)) for s in near) / len(near)
    return total / (2 * sum(weights))


def test_oracle_of_binding() -> None:
    torch.manual_seed(0)
    x, u = (torch.randn(4, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    tokens = Tokens(torch.ones(4, 2, dtype=torch.int64), torch.ones(4, 2, dtype=torch.bool))
    captions = Captions(tokens, torch.arange(4), torch.full((4,), int(Kind.RAW)))
    seen = Modality(torch.zeros(4, 1, 1, 4, 4), torch.tensor(OWNER))
    pixels = torch.zeros(4, 3, 4, 4, dtype=torch.uint8)
    data = Batch(pixels, captions, torch.tensor(IDS), weights=torch.tensor(WEIGHTS), depth=seen)
    found = ImageBind(scale=SCALE).binding.terms((Features(x), {"depth": u}), data)["depth"]
    assert found.item() == pytest.approx(_defined(x.tolist(), u.tolist()), abs=1e-10)
    for leaf, gradient in zip((x, u), torch.autograd.grad(found, (x, u)), strict=True):
        for i, k in torch.cartesian_prod(torch.arange(4), torch.arange(3)).tolist():
            ends = []
            for step in (1e-6, -1e-6):
                moved = [v.detach().clone() for v in (x, u)]
                moved[0 if leaf is x else 1][i, k] += step
                ends.append(_defined(*(v.tolist() for v in moved)))
            assert gradient[i, k].item() == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-6)


def _bound(senses: tuple[str, ...] = ("depth", "video")) -> tuple[ImageBind, DualEncoder]:
    torch.manual_seed(0)
    made, schedule = model(), ImageBind(senses, first=0, patch=8, width=16, depth=1)
    schedule.binding.begin(made, [])
    return schedule, made


def test_only_the_towers_of_the_senses_learn() -> None:
    schedule, made = _bound()
    assert {n.partition(".")[0] for n, p in made.named_parameters() if p.requires_grad} == {"senses"}
    data = replace(sample(), weights=None)
    terms = schedule.binding.terms(schedule.binding.encode(made, data), data)
    assert list(terms) == ["depth", "video"]
    sum(terms.values(), torch.zeros(())).backward()
    assert all((p.grad is not None) == p.requires_grad for p in made.parameters())


def test_a_batch_without_a_sense_costs_nothing_of_it() -> None:
    schedule, made = _bound()
    data = replace(sample(), depth=None)
    terms = schedule.binding.terms(schedule.binding.encode(made, data), data)
    assert terms["depth"] == 0 and terms["video"] > 0
    terms["depth"].backward()


def test_it_trains_in_one_stage_or_in_two() -> None:
    two, one = ImageBind(first=0.25), ImageBind(first=0.0)
    assert [stage.share for stage in two.stages] == [0.25, 0.75]
    assert two.stages[0].objective is two.alignment and two.stages[1].objective is two.binding
    assert [stage.objective for stage in one.stages] == [one.binding]
    assert ImageBind(["video"]).requires == ("video",) and ImageBind.requires == ("depth",)
    assert rebuild(configuration(ImageBind(["video"], scale=2.0))).binding.scale == 2.0


def test_the_towers_are_saved_with_the_model(tmp_path: Path) -> None:
    _, made = _bound()
    again = load(save(made, tmp_path / "run"))
    assert list(again.senses) == ["depth", "video"]
    depth, video = [[picture] for picture in pictures(3)], [pictures(4), pictures(4)[::-1]]
    for sense, items in (("depth", depth), ("video", video)):
        found = made.encode_sense(sense, items)
        assert np.array_equal(found, again.encode_sense(sense, items))
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)


def test_bytes_are_read_as_floats_are() -> None:
    _, made = _bound()
    data = sample()
    assert data.depth is not None and data.video is not None
    floats = {"depth": data.depth.frames.float() / 255, "video": _normalised(made, data.video.frames)}
    for sense, frames in floats.items():
        found = made.sense_features(sense, getattr(data, sense).frames)
        torch.testing.assert_close(found, made.sense_features(sense, frames))


def _normalised(made: DualEncoder, frames: Tensor) -> Tensor:
    pixels: Tensor = made.preprocessing.normalise(frames.flatten(0, 1))
    return pixels.unflatten(0, frames.shape[:2])


def test_it_says_what_is_wrong() -> None:
    for senses in ([], ["sound"]):
        with pytest.raises(ValueError, match="senses must be some of depth, video"):
            ImageBind(senses)
    with pytest.raises(ValueError, match="first must be a share"):
        ImageBind(first=1.0)
    with pytest.raises(DataError, match="patches of 5 pixels do not divide 32"):
        ImageBind(patch=5).binding.begin(model(), [])
    with pytest.raises(ValueError, match="knows nothing of depth"):
        model().sense_features("depth", torch.zeros(1, 1, 1, 32, 32))


DEPTHS = replace(GROUPS, style=STYLES["solid"], senses=("depth",))

CLAIM = Claim(
    says="Texts find depth maps that they were never paired with better than by the image tower, which is what a model "
    "of images and texts alone, trained for as many steps, would read depth with.",
    method=replace(RECIPE, objective="imagebind(patch=8, width=64, depth=2)"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(DEPTHS),
    benchmark=SenseBenchmark(held_out(DEPTHS)),
    metric="mean_recall",
)
