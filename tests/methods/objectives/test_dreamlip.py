"""DreamLIP against its definition in loops and its authors' form."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dovetail.contracts import Batch, Captions, Features, Kind, Tokens
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import PARAGRAPHS, RECIPE, held_out, scenes
from dovetail.methods.objectives.dreamlip import DreamLIP
from dovetail.models.contrasting import Encoded

Matrix = list[list[float]]
SCALE = 3.0
OWNER, IDS, KIND = [0, 0, 1, 2, 2, 3], [7, 8, 9, 7], [Kind.RAW, Kind.LONG, Kind.RAW, Kind.RAW, Kind.NEGATIVE, Kind.RAW]
TRUE = [j for j, kind in enumerate(KIND) if kind != Kind.NEGATIVE]


def _dot(a: list[float], b: list[float]) -> float:
    return sum(p * q for p, q in zip(a, b, strict=True))


def _unit(a: list[float]) -> list[float]:
    return [v / math.sqrt(_dot(a, a)) for v in a]


def _group(caption: list[float], patches: Matrix, threshold: float) -> list[float]:
    patches = [_unit(p) for p in patches]
    alike = [_dot(_unit(caption), p) for p in patches]
    near = [(a - min(alike)) / (max(alike) - min(alike)) for a in alike]
    kept = [n if n >= threshold else 0.0 for n in near]
    return _unit([sum(n * p[k] for n, p in zip(kept, patches, strict=True)) for k in range(len(caption))])


def _infonce(rows: Matrix, cols: Matrix, belongs: Callable[[int, int], bool | None]) -> float:
    """belongs: None for a pair that is neither a positive nor a negative."""
    total = 0.0
    for i, row in enumerate(rows):
        scores = [SCALE * _dot(_unit(row), _unit(col)) for col in cols]
        against = sum(math.exp(s) for j, s in enumerate(scores) if belongs(i, j) is False)
        own = [s for j, s in enumerate(scores) if belongs(i, j)]
        total += sum(math.log(math.exp(s) + against) - s for s in own) / len(own)
    return total / len(rows)


def _defined(x: Matrix, y: Matrix, patches: list[Matrix], threshold: float) -> tuple[float, float]:
    """The captions that are not hard negatives; those are columns of the images alone."""
    true = [y[j] for j in TRUE]

    def of(i: int, j: int) -> bool:
        return KIND[j] != Kind.NEGATIVE and IDS[OWNER[j]] == IDS[i]

    whole = (_infonce(x, y, of) + _infonce(true, x, lambda j, i: of(i, TRUE[j]))) / 2
    groups = [_group(y[j], patches[OWNER[j]], threshold) for j in TRUE]

    def belongs(a: int, b: int) -> bool | None:
        one, other = OWNER[TRUE[a]], OWNER[TRUE[b]]
        return None if one != other and IDS[one] == IDS[other] else a == b

    return whole, (_infonce(groups, true, belongs) + _infonce(true, groups, belongs)) / 2


def _batch(owner: list[int], ids: list[int], kinds: list[Kind]) -> Batch:
    tokens = Tokens(torch.ones(len(owner), 2, dtype=torch.int64), torch.ones(len(owner), 2, dtype=torch.bool))
    captions = Captions(tokens, torch.tensor(owner), torch.tensor([int(k) for k in kinds]))
    return Batch(torch.zeros(len(ids), 3, 4, 4, dtype=torch.uint8), captions, torch.tensor(ids))


def _terms(objective: DreamLIP, x: Tensor, y: Tensor, patches: Tensor, batch: Batch) -> dict[str, Tensor]:
    images = Features(x, patches)
    return dict(objective.terms(Encoded(images, Features(y), x.new_tensor(SCALE), None), batch))


@pytest.mark.parametrize("threshold", [None, 0.4])
def test_oracle(threshold: float | None) -> None:
    torch.manual_seed(0)
    leaves = [torch.randn(*n, 4, dtype=torch.float64, requires_grad=True) for n in ((4,), (6,), (4, 5))]
    found = _terms(DreamLIP(threshold, 0.5), *leaves, _batch(OWNER, IDS, KIND))
    least = 1 / 5 if threshold is None else threshold
    wanted = _defined(*(leaf.tolist() for leaf in leaves), least)
    assert found["contrastive"].item() == pytest.approx(wanted[0], abs=1e-10)
    assert found["grouping"].item() == pytest.approx(0.5 * wanted[1], abs=1e-10)
    gradients = torch.autograd.grad(sum(found.values()), leaves)
    for which, gradient in enumerate(gradients):
        for at in range(gradient.numel()):
            values = []
            for step in (1e-6, -1e-6):
                moved = [leaf.detach().clone() for leaf in leaves]
                moved[which].view(-1)[at] += step
                whole, parts = _defined(*(m.tolist() for m in moved), least)
                values.append(whole + 0.5 * parts)
            assert float(gradient.flatten()[at]) == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-6)


def test_equals_the_authors_form() -> None:
    """Tensors of three axes with as many captions of each image; what comes from the texts meets each image once."""
    b, k, n, d = 3, 2, 6, 5
    x, y, patches = (F.normalize(torch.randn(*s, d, dtype=torch.float64), dim=-1) for s in ((b,), (b, k), (b, n)))
    near = torch.einsum("btd,bpd->btp", y, patches)
    low, high = near.min(2, keepdim=True).values, near.max(2, keepdim=True).values
    near = (near - low) / (high - low + 1e-10)
    near = torch.where(near < 1 / n, 0.0, near)
    groups = F.normalize(torch.einsum("btp,bpd->btd", near / near.sum(2, keepdim=True), patches), dim=2).flatten(0, 1)
    own, scores = torch.arange(b * k), SCALE * groups @ y.flatten(0, 1).T
    grouping = (F.cross_entropy(scores, own) + F.cross_entropy(scores.T, own)) / 2
    owner = own // k
    back = sum(F.cross_entropy(SCALE * y[:, i] @ x.T, torch.arange(b)) for i in range(k)) / k
    scores = SCALE * x @ y.flatten(0, 1).T
    against = scores.masked_fill(owner == torch.arange(b)[:, None], -torch.inf).logsumexp(1)
    there = torch.stack([F.softplus(against[i] - scores[i, j]) for j, i in enumerate(owner.tolist())]).mean()
    found = _terms(DreamLIP(), x, y.flatten(0, 1), patches, _batch(owner.tolist(), [0, 1, 2], [Kind.LONG] * 6))
    torch.testing.assert_close(found["grouping"], grouping)
    torch.testing.assert_close(found["contrastive"], (there + back) / 2)


CLAIM = Claim(
    says="Sentences that also meet the patches they speak of leave paragraphs found better than InfoNCE on them.",
    method=replace(RECIPE, objective="dreamlip", sub_captions=3),
    baseline=replace(RECIPE, objective="infonce", sub_captions=3),
    train=scenes(PARAGRAPHS),
    benchmark=RetrievalBenchmark(held_out(PARAGRAPHS), kinds=(Kind.LONG,)),
    metric="mean_recall",
)
