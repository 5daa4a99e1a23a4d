"""ALIP against its definition in loops, its authors' form over several steps, and over processes."""

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dovetail.contracts import Batch, Captions, Features, Kind, Tokens
from dovetail.data.worlds import Noise, Telling
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, scenes
from dovetail.methods.objectives.alip import ALIP
from dovetail.methods.objectives.contrastive import Contrastive
from dovetail.models.contrasting import Encoded
from tests.processes import run

Matrix = list[list[float]]
SCALE = 3.0
R, S, N = Kind.RAW, Kind.SYNTHETIC, Kind.NEGATIVE
# Image 1 has no synthetic caption, image 2 two raw texts and a hard negative one; images 0 and 3 are the same thing.
OWNER, KIND, IDS = [0, 0, 1, 2, 2, 2, 2, 3, 3], [R, S, R, R, R, N, S, S, R], [7, 8, 9, 7]


def _cosine(a: list[float], b: list[float]) -> float:
    return sum(p * q for p, q in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _gates(x: Matrix, y: Matrix) -> tuple[dict[int, float], dict[int, float]]:
    """Of each image W, of each text V; after one batch the running means are 0.99 + 0.01 of the batch's."""

    def texts(i: int, kind: Kind) -> list[int]:
        return [j for j in range(len(y)) if OWNER[j] == i and KIND[j] == kind]

    pairs = {i: [_cosine(y[a], y[b]) for a in texts(i, R) for b in texts(i, S)] for i in range(len(x))}
    language = {i: _mean(found) for i, found in pairs.items() if found}
    m = 0.99 + 0.01 * _mean(list(language.values()))
    raw_w = {i: math.exp(2 * (language[i] - m)) if i in language else 1.0 for i in range(len(x))}
    v = {}
    for kind in (R, S):
        alike = {j: _cosine(x[OWNER[j]], y[j]) for j in range(len(y)) if KIND[j] == kind}
        mean = 0.99 + 0.01 * _mean(list(alike.values()))
        v |= {j: math.exp(2 * (s - mean)) if raw_w[OWNER[j]] < 1 else 1.0 for j, s in alike.items()}
    return {i: min(1.0, w) for i, w in raw_w.items()}, v


def _cost(scores: list[float], own: list[bool]) -> float:
    against = sum(math.exp(s) for s, mine in zip(scores, own, strict=True) if not mine)
    costs = [math.log(math.exp(s) + against) - s for s, mine in zip(scores, own, strict=True) if mine]
    return _mean(costs)


def _defined(x: Matrix, y: Matrix, gates: tuple[dict[int, float], dict[int, float]]) -> list[float]:
    w, v = gates
    found = []
    for kind, kinds in ((R, (R, N)), (S, (S,))):
        cols = [j for j in range(len(y)) if KIND[j] in kinds]
        true = [j for j in cols if KIND[j] == kind]
        there = {}
        for i in sorted({OWNER[j] for j in true}):
            own = [KIND[j] != N and IDS[OWNER[j]] == IDS[i] for j in cols]
            weight = w[i] * _mean([v[j] for j in true if OWNER[j] == i])
            there[i] = weight, _cost([SCALE * _cosine(x[i], y[j]) for j in cols], own)
        back = []
        for j in true:
            own = [IDS[i] == IDS[OWNER[j]] for i in range(len(x))]
            back.append((w[OWNER[j]] * v[j], _cost([SCALE * _cosine(x[i], y[j]) for i in range(len(x))], own)))
        whole = _mean([weight for weight, _ in there.values()])
        means = [sum(a * c for a, c in some) / sum(a for a, _ in some) for some in (list(there.values()), back)]
        found.append(whole * _mean(means))
    return found


def _batch(images: slice = slice(None), texts: slice = slice(None)) -> Batch:
    owner = torch.tensor(OWNER[texts]) - (images.start or 0)
    tokens = Tokens(torch.ones(len(owner), 2, dtype=torch.int64), torch.ones(len(owner), 2, dtype=torch.bool))
    captions = Captions(tokens, owner, torch.tensor([int(k) for k in KIND[texts]]))
    ids = torch.tensor(IDS[images])
    return Batch(torch.zeros(len(ids), 3, 4, 4, dtype=torch.uint8), captions, ids)


def _points() -> tuple[Tensor, Tensor]:
    torch.manual_seed(3)
    x, y = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (4, 9))
    return x, y


def _terms(objective: ALIP | Contrastive, x: Tensor, y: Tensor, batch: Batch) -> dict[str, Tensor]:
    return dict(objective.terms(Encoded(Features(x), Features(y), x.new_tensor(SCALE), None), batch))


def test_oracle() -> None:
    x, y = _points()
    found = _terms(ALIP().double(), x, y, _batch())
    xs, ys = x.tolist(), y.tolist()
    gates = _gates(xs, ys)
    assert len({round(g, 6) for gate in gates for g in gate.values()}) > 6
    assert [found["raw"].item(), found["synthetic"].item()] == pytest.approx(_defined(xs, ys, gates), abs=1e-10)
    gradients = torch.autograd.grad(sum(found.values()), [x, y])
    for rows, gradient in zip((xs, ys), gradients, strict=True):
        for i, k in ((i, k) for i in range(len(rows)) for k in range(3)):
            kept, values = rows[i][k], []
            for step in (1e-6, -1e-6):
                rows[i][k] = kept + step
                values.append(sum(_defined(xs, ys, gates)))
            rows[i][k] = kept
            assert float(gradient[i, k]) == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-6)


def _authors(batches: list[tuple[Tensor, Tensor, Tensor]]) -> Iterator[float]:
    """Unit vectors of images, raw texts and captions, one of each kind."""
    means = [1.0, 1.0, 1.0]
    for image, raw, caption in batches:
        alike = [(a * b).sum(1) for a, b in ((raw, caption), (raw, image), (caption, image))]
        means = [float(0.01 * s.mean() + 0.99 * m) for s, m in zip(alike, means, strict=True)]
        sample, *pairs = ((s - m).exp() ** 2 for s, m in zip(alike, means, strict=True))
        total, own = 0.0, torch.arange(len(image))
        for text, pair in zip((raw, caption), pairs, strict=True):
            scores = SCALE * image @ text.T
            cost = sum(F.cross_entropy(s, own, reduction="none") for s in (scores, scores.T)) / 2
            weights = torch.where(sample < 1, pair, 1.0) * sample.clamp_max(1)
            total += float((cost * weights).mean())
        yield total


def test_equals_the_authors_form_while_the_means_move() -> None:
    b, objective = 6, ALIP(momentum=0.99).double()
    batches = []
    for _ in range(200):  # soon some raw texts and captions agree more than on average
        image = F.normalize(torch.randn(b, 4, dtype=torch.float64), dim=1)
        near = [F.normalize(image + 0.5 * torch.randn(b, 4, dtype=torch.float64), dim=1) for _ in range(2)]
        batches.append((image, *near))
    owner, kind = torch.arange(b).repeat(2), torch.tensor([int(R)] * b + [int(S)] * b)
    tokens = Tokens(torch.ones(2 * b, 2, dtype=torch.int64), torch.ones(2 * b, 2, dtype=torch.bool))
    data = Batch(torch.zeros(b, 3, 4, 4, dtype=torch.uint8), Captions(tokens, owner, kind), torch.arange(b))
    for (image, raw, caption), wanted in zip(batches, _authors(batches), strict=True):
        found = _terms(objective, image, torch.cat([raw, caption]), data)
        assert sum(float(v) for v in found.values()) == pytest.approx(wanted, abs=1e-9)


def test_outside_training_the_means_stay() -> None:
    x, y = _points()
    objective = ALIP().eval()
    _terms(objective, x, y, _batch())
    assert objective.means.tolist() == [1, 1, 1]
    _terms(objective.train(), x, y, _batch())
    assert (objective.means < 1).all()
    kept = ALIP()
    kept.load_state_dict(objective.state_dict())
    assert kept.means.tolist() == objective.means.tolist()


def test_without_synthetic_captions_it_is_the_contrastive_objective_with_weights_of_one() -> None:
    x, y = torch.randn(4, 5), torch.randn(3, 5)
    tokens = Tokens(torch.ones(3, 2, dtype=torch.int64), torch.ones(3, 2, dtype=torch.bool))
    captions = Captions(tokens, torch.tensor([0, 1, 2]), torch.zeros(3, dtype=torch.int64))
    data = Batch(torch.zeros(3, 3, 4, 4, dtype=torch.uint8), captions, torch.arange(3))
    found = _terms(ALIP(), x[:3], y, data)
    torch.testing.assert_close(found["raw"], _terms(Contrastive(), x[:3], y, data)["contrastive"])
    assert found["synthetic"] == 0


def _part(rank: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x, y = _points()
    images, texts = ((slice(0, 2), slice(0, 3)), (slice(2, 4), slice(3, 9)))[rank]
    objective = ALIP().double()
    value = sum(_terms(objective, x[images], y[texts], _batch(images, texts)).values())
    assert isinstance(value, Tensor)
    value.backward()
    assert x.grad is not None and y.grad is not None
    return value.detach(), x.grad, y.grad, objective.means


def test_two_processes_are_one() -> None:
    parts = run(_part, 2)
    x, y = _points()
    objective = ALIP().double()
    value = sum(_terms(objective, x, y, _batch()).values())
    assert isinstance(value, Tensor)
    value.backward()
    assert sum(p[0] for p in parts) / 2 == pytest.approx(value.item(), abs=1e-10)
    torch.testing.assert_close(sum(p[1] for p in parts) / 2, x.grad)
    torch.testing.assert_close(sum(p[2] for p in parts) / 2, y.grad)
    for part in parts:
        torch.testing.assert_close(part[3], objective.means)


def test_it_asks_for_synthetic_captions() -> None:
    assert ALIP.requires == ("synthetic captions",)


# Of the captions from the web, which tell size and texture too, two in five are another picture's.
WEB = Telling(("full", "short"), Noise(swapped=0.4), synthetic=("short",))

CLAIM = Claim(
    says="Where captions from the web are often another picture's, it retrieves better than InfoNCE on the same texts.",
    method=replace(RECIPE, objective="alip", captions_per_image=2),
    baseline=replace(RECIPE, objective="infonce", captions_per_image=2),
    train=scenes(replace(GROUPS, telling=WEB)),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
