"""CLIP-KD against its definition in loops, and with a teacher of another size, space and tokenizer."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from dovetail.contracts import Batch, Captions, Features, Kind, Tokens
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, scenes
from dovetail.methods.objectives.distillation import Distillation, Told
from dovetail.models.contrasting import Encoded
from dovetail.models.pretrained import save
from tests.models import small

Rows = list[list[float]]
OWN, SHARP, ASKED = 4.0, 6.0, 1 / 0.07  # the scales of the pupil, the teacher and the interaction
WEIGHTS = [1.0, 2.0, 0.5, 1.0]


def _batch() -> Batch:
    """A caption an image, and a hard negative one."""
    owner = torch.tensor([0, 1, 2, 3, 1])
    kind = torch.tensor([int(k) for k in [Kind.RAW] * 4 + [Kind.NEGATIVE]])
    tokens = Tokens(torch.ones(5, 2, dtype=torch.int64), torch.ones(5, 2, dtype=torch.bool))
    pixels, weights = torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.tensor(WEIGHTS)
    return Batch(pixels, Captions(tokens, owner, kind), torch.arange(4), weights=weights)


def _unit(rows: Rows) -> Rows:
    return [[v / math.hypot(*row) for v in row] for row in rows]


def _scores(a: Rows, b: Rows, scale: float) -> Rows:
    return [[scale * sum(p * q for p, q in zip(r, c, strict=True)) for c in _unit(b)] for r in _unit(a)]


def _mean(costs: list[float]) -> float:
    return sum(w * c for w, c in zip(WEIGHTS, costs, strict=True)) / sum(WEIGHTS)


def _nce(scores: Rows) -> float:
    return _mean([math.log(sum(map(math.exp, s))) - s[i] for i, s in enumerate(scores[:4])])


def _soft(pupil: Rows, teacher: Rows) -> float:
    costs = []
    for s, t in zip(pupil[:4], teacher[:4], strict=True):
        below, every = math.log(sum(map(math.exp, s))), sum(map(math.exp, t))
        costs.append(sum(math.exp(k) / every * (below - v) for v, k in zip(s, t, strict=True)))
    return _mean(costs)


def _far(x: Rows, t: Rows) -> float:
    pairs = zip(_unit(x)[:4], _unit(t)[:4], strict=True)
    return _mean([sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) / len(a) for a, b in pairs])


def _defined(x: Rows, y: Rows, u: Rows, v: Rows) -> dict[str, float]:
    """With teachers u and v of the same length."""
    return {
        "contrastive": (_nce(_scores(x, y, OWN)) + _nce(_scores(y, x, OWN))) / 2,
        "feature": 20 * (_far(x, u) + _far(y, v)),
        "relation": 2
        * (_soft(_scores(x, y, OWN), _scores(u, v, SHARP)) + _soft(_scores(y, x, OWN), _scores(v, u, SHARP)))
        / 2,
        "interaction": 3 * (_nce(_scores(x, v, ASKED)) + _nce(_scores(y, u, ASKED))) / 2,
    }


def _terms(objective: Distillation, x: Tensor, y: Tensor, u: Tensor, v: Tensor) -> dict[str, Tensor]:
    pupil = Encoded(Features(x), Features(y), torch.tensor(OWN).double(), None)
    teacher = Encoded(Features(u), Features(v), torch.tensor(SHARP).double(), None)
    return dict(objective.terms(Told(pupil, teacher), _batch()))


def test_oracle() -> None:
    objective = Distillation(feature=20.0, relation=2.0, interaction=3.0).double()
    objective.maps = nn.ModuleList([nn.Identity(), nn.Identity()])
    assert objective.log_scale.item() == pytest.approx(math.log(ASKED))
    objective.log_scale.data.fill_(math.log(ASKED))
    points = [torch.randn(n, 3, dtype=torch.float64, requires_grad=i < 2) for i, n in enumerate((4, 5, 4, 5))]
    found, rows = _terms(objective, *points), [p.tolist() for p in points]
    for name, wanted in _defined(*rows).items():
        assert found[name].item() == pytest.approx(wanted, abs=1e-9), name
    gradients = torch.autograd.grad(torch.stack(list(found.values())).sum(), points[:2])
    for side, gradient in zip(rows, gradients, strict=False):
        for i, k in ((i, k) for i in range(len(side)) for k in range(3)):
            kept, ends = side[i][k], []
            for step in (1e-6, -1e-6):
                side[i][k] = kept + step
                ends.append(sum(_defined(*rows).values()))
            side[i][k] = kept
            assert float(gradient[i, k]) == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-6)


def test_a_teacher_of_another_space_is_met_by_maps(tmp_path: Path) -> None:
    pupil = small.model()
    teacher = small.model(width=32)
    teacher.image_projection, teacher.text_projection = (nn.Linear(32, 20, bias=False) for _ in range(2))
    teacher.embed_dim = 20
    save(teacher, tmp_path / "big")
    objective = Distillation(str(tmp_path / "big"))
    objective.begin(pupil, [])
    data = _batch()
    outputs = objective.encode(pupil, data)
    torch.testing.assert_close(outputs.teacher.images.pooled, teacher.image_features(data.images).pooled)
    assert outputs.teacher.texts.pooled.shape == (5, 20) and not outputs.teacher.texts.pooled.requires_grad
    torch.stack(list(objective.terms(outputs, data).values())).sum().backward()
    assert all(p.grad is not None for p in objective.maps.parameters())
    assert all(p.grad is None for p in objective.frozen.parameters())


def test_the_model_itself_as_it_was_is_no_distance_away() -> None:
    pupil, objective = small.model(), Distillation()
    objective.begin(pupil, [])
    data = replace(_batch(), weights=None)
    assert objective.terms(objective.encode(pupil, data), data)["feature"].item() == pytest.approx(0, abs=1e-9)
    nn.init.normal_(next(pupil.image_projection.parameters()))
    assert objective.terms(objective.encode(pupil, data), data)["feature"].item() > 1


# The teacher is twice as wide and deep and learns twice as long; the pupil has the tower and the steps of the baseline.
CLAIM = Claim(
    says="A small model that also learns from a trained larger one retrieves better after the same steps.",
    method=replace(RECIPE, objective="distillation(teacher='{teacher}')"),
    baseline=replace(RECIPE, objective="infonce"),
    teacher=replace(RECIPE, image="vit(size=32, patch=8, width=128, depth=4, heads=4)", steps=800),
    train=scenes(GROUPS),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
