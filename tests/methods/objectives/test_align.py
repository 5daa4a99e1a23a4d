"""ALIGN against its definition in loops and the loss of transformers; the claim that it bears wrong captions."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.models.align.modeling_align import align_loss

from dovetail.contracts import Batch, Captions, Features, Tokens
from dovetail.data.worlds import Noise
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, larger, scenes
from dovetail.methods.objectives.align import ALIGN
from dovetail.methods.objectives.clip import CLIP
from dovetail.models.contrasting import Encoded

Matrix = list[list[float]]
SCALE, E = 5.0, 0.2
OWNER = [0, 0, 1, 2]  # of the captions


def _cost(scores: list[float], own: list[bool]) -> float:
    """Each positive's cross-entropy with smoothed targets in a softmax over itself and the negatives; their mean."""
    against, costs = [s for s, mine in zip(scores, own, strict=True) if not mine], []
    for s in (s for s, mine in zip(scores, own, strict=True) if mine):
        seen = [s, *against]
        whole = math.log(sum(math.exp(v) for v in seen))
        targets = [(1 - E) * (k == 0) + E / len(seen) for k in range(len(seen))]
        costs.append(sum(q * (whole - v) for q, v in zip(targets, seen, strict=True)))
    return sum(costs) / len(costs)


def _defined(x: Matrix, y: Matrix) -> float:
    def score(a: list[float], b: list[float]) -> float:
        return SCALE * sum(p * q for p, q in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))

    there = [_cost([score(a, b) for b in y], [o == i for o in OWNER]) for i, a in enumerate(x)]
    back = [_cost([score(a, b) for a in x], [o == i for i in range(len(x))]) for b, o in zip(y, OWNER, strict=True)]
    return (sum(there) / len(there) + sum(back) / len(back)) / 2


def _terms(objective: ALIGN | CLIP, x: Tensor, y: Tensor, owner: list[int]) -> dict[str, Tensor]:
    t = len(owner)
    tokens = Tokens(torch.ones(t, 2, dtype=torch.int64), torch.ones(t, 2, dtype=torch.bool))
    captions = Captions(tokens, torch.tensor(owner), torch.zeros(t, dtype=torch.int64))
    batch = Batch(torch.zeros(len(x), 3, 4, 4, dtype=torch.uint8), captions, torch.arange(len(x)))
    return dict(objective.terms(Encoded(Features(x), Features(y), x.new_tensor(SCALE), None), batch))


def _points(*counts: int) -> list[Tensor]:
    return [torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in counts]


def test_oracle() -> None:
    x, y = _points(3, 4)
    found = sum(_terms(ALIGN(smoothing=E), x, y, OWNER).values(), x.new_zeros(()))
    xs, ys = x.tolist(), y.tolist()
    assert found.item() == pytest.approx(_defined(xs, ys), abs=1e-12)
    for rows, gradient in zip((xs, ys), torch.autograd.grad(found, [x, y]), strict=True):
        for i, k in ((i, k) for i in range(len(rows)) for k in range(3)):
            kept, values = rows[i][k], []
            for step in (1e-6, -1e-6):
                rows[i][k] = kept + step
                values.append(_defined(xs, ys))
            rows[i][k] = kept
            assert float(gradient[i, k]) == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-7)


def test_equals_the_loss_of_transformers() -> None:
    x, y = _points(6, 6)
    found = sum(_terms(ALIGN(), x, y, list(range(6))).values(), x.new_zeros(()))
    wanted = align_loss(SCALE * F.normalize(y, dim=1) @ F.normalize(x, dim=1).T)
    torch.testing.assert_close(found, wanted)
    for a, b in zip(torch.autograd.grad(found, [x, y]), torch.autograd.grad(wanted, [x, y]), strict=True):
        torch.testing.assert_close(a, b)


def test_unsmoothed_it_is_clip() -> None:
    x, y = _points(3, 4)
    found = sum(_terms(ALIGN(smoothing=0.0), x, y, OWNER).values(), x.new_zeros(()))
    assert found == _terms(CLIP(), x, y, OWNER)["contrastive"]


# Two captions in five are false. The temperature starts as the baseline's does: only smoothing differs.
NOISY = replace(GROUPS, telling=replace(GROUPS.telling, noise=Noise(wrong=0.2, swapped=0.2)))
CLAIM = Claim(
    says="Where two captions in five are wrong, label smoothing learns to retrieve better than InfoNCE does.",
    method=replace(RECIPE, objective="align(initial_scale=14.285714285714286)"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(NOISY),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
CLAIM_GPU = larger(CLAIM)
