"""SPARC against its definition in loops, the paper's pseudocode in matrices, and over processes."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dovetail.contracts import Batch, Captions, Features, Kind, Tokens
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, scenes
from dovetail.evaluation.worlds.localisation import PHRASE, LocalisationBenchmark
from dovetail.methods.objectives.sparc import SPARC
from dovetail.models.contrasting import Encoded
from tests.processes import run

Rows = list[list[float]]
OWNER, KIND = [0, 0, 1, 2, 2, 3], [Kind.RAW] * 4 + [Kind.NEGATIVE, Kind.RAW]
LENGTHS, SCALE, WIDTH, PATCHES = [4, 2, 3, 1, 4, 3], 5.0, 3, 6


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(p * q for p, q in zip(a, b, strict=True))


def _unit(a: list[float]) -> list[float]:
    return [v / math.hypot(*a) for v in a]


def _group(word: list[float], patches: Rows) -> list[float]:
    alike = [_dot(word, p) for p in patches]
    low, high = min(alike), max(alike)
    relative = [(s - low) / (high - low) for s in alike]
    kept = [s if s >= 1 / len(patches) else 0 for s in relative]
    return [_dot(kept, [p[k] for p in patches]) / sum(kept) for k in range(len(word))]


def _fine(patches: list[Rows], words: list[Rows]) -> float:
    total, count = 0.0, 0
    for j, i in enumerate(OWNER):
        if KIND[j] == Kind.NEGATIVE:
            continue
        said = words[j][: LENGTHS[j]]
        groups, said = [_unit(_group(t, patches[i])) for t in said], [_unit(t) for t in said]
        for a, b in ((groups, said), (said, groups)):
            for k, v in enumerate(a):
                scores = [SCALE * _dot(v, w) for w in b]
                total += (math.log(sum(math.exp(s) for s in scores)) - scores[k]) / 2
        count += len(said)
    return total / count


def _batch(images: slice = slice(None), texts: slice = slice(None)) -> Batch:
    owner = torch.tensor(OWNER[texts])
    tokens = Tokens(torch.ones(len(owner), 2, dtype=torch.int64), torch.ones(len(owner), 2, dtype=torch.bool))
    captions = Captions(tokens, owner - (images.start or 0), torch.tensor([int(k) for k in KIND[texts]]))
    ids = torch.arange(4)[images]
    return Batch(torch.zeros(len(ids), 3, 4, 4, dtype=torch.uint8), captions, ids)


def _points() -> tuple[Tensor, Tensor]:
    torch.manual_seed(3)
    seen, said = torch.randn(4, PATCHES, WIDTH, dtype=torch.float64), torch.randn(6, 4, WIDTH, dtype=torch.float64)
    return seen.requires_grad_(), said.requires_grad_()


def _terms(seen: Tensor, said: Tensor, images: slice = slice(None), texts: slice = slice(None)) -> dict[str, Tensor]:
    """Of tokens whose first ones are the pooled vectors as well."""
    mask = torch.arange(4)[None, :] < torch.tensor(LENGTHS)[:, None]
    left = Features(seen[images][:, 0], seen[images])
    right = Features(said[texts][:, 0], said[texts], mask[texts])
    outputs = Encoded(left, right, seen.new_tensor(SCALE), None)
    return dict(SPARC().terms(outputs, _batch(images, texts)))


def test_oracle() -> None:
    seen, said = _points()
    found = _terms(seen, said)["fine-grained"]
    patches, words = seen.tolist(), said.tolist()
    assert found.item() == pytest.approx(_fine(patches, words), abs=1e-10)
    gradients = torch.autograd.grad(found, [seen, said])
    for items, gradient in zip((patches, words), gradients, strict=True):
        for at in torch.cartesian_prod(*map(torch.arange, gradient.shape)).tolist():
            i, k, d = at
            kept, values = items[i][k][d], []
            for step in (1e-6, -1e-6):
                items[i][k][d] = kept + step
                values.append(_fine(patches, words))
            items[i][k][d] = kept
            assert float(gradient[i, k, d]) == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-6)


def test_equals_the_pseudocode() -> None:
    """Without padding: matrices, and the cross-entropy of the diagonal."""
    seen, said = torch.randn(6, PATCHES, 8, dtype=torch.float64), torch.randn(6, 5, 8, dtype=torch.float64)
    alike = said @ seen.mT
    alike = (alike - alike.min(2, True).values) / (alike.max(2, True).values - alike.min(2, True).values)
    alike = torch.where(alike < 1 / PATCHES, 0.0, alike)
    groups = F.normalize(alike / alike.sum(2, True) @ seen, dim=2)
    scores, own = SCALE * groups @ F.normalize(said, dim=2).mT, torch.arange(5).expand(6, 5)
    wanted = (F.cross_entropy(scores, own) + F.cross_entropy(scores.mT, own)) / 2
    owner = torch.arange(6)
    tokens = Tokens(torch.ones(6, 5, dtype=torch.int64), torch.ones(6, 5, dtype=torch.bool))
    batch = Batch(torch.zeros(6, 3, 4, 4, dtype=torch.uint8), Captions(tokens, owner, 0 * owner), owner)
    outputs = Encoded(Features(seen[:, 0], seen), Features(said[:, 0], said), seen.new_tensor(SCALE), None)
    torch.testing.assert_close(SPARC(fine=0.5).terms(outputs, batch)["fine-grained"], wanted / 2)


def _part(rank: int) -> tuple[Tensor, Tensor, Tensor]:
    seen, said = _points()
    value = torch.stack(
        list(_terms(seen, said, *((slice(0, 1), slice(0, 2)), (slice(1, 4), slice(2, 6)))[rank]).values())
    ).sum()
    value.backward()
    assert seen.grad is not None and said.grad is not None
    return value.detach(), seen.grad, said.grad


def test_two_processes_are_one() -> None:
    parts = run(_part, 2)
    seen, said = _points()
    value = torch.stack(list(_terms(seen, said).values())).sum()
    value.backward()
    assert sum(p[0] for p in parts) / 2 == pytest.approx(value.item(), abs=1e-10)
    for i, gradient in enumerate((seen.grad, said.grad)):
        torch.testing.assert_close(sum(p[i + 1] for p in parts) / 2, gradient)


CLAIM = Claim(
    says="A phrase finds the part of the picture that it speaks of more often than when whole captions alone are told.",
    method=replace(RECIPE, objective="sparc"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=LocalisationBenchmark(held_out(GROUPS)),
    metric=PHRASE,
)
