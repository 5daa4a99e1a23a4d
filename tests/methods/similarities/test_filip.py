"""FILIP against its definition in loops."""

import math
from dataclasses import replace
from itertools import product

import pytest
import torch

from dovetail.contracts import Features
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, larger, scenes
from dovetail.methods.similarities.filip import FILIP
from dovetail.ops.similarity import compare


def _cosine(a: list[float], b: list[float]) -> float:
    return sum(p * q for p, q in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


def _score(row: list[list[float]], col: list[list[float]]) -> float:
    return sum(max(_cosine(a, b) for b in col) for a in row) / len(row)


def _sides() -> tuple[Features, Features, list[int], list[int]]:
    """Two images of four patches; three captions of five words or fewer."""
    lengths = [5, 2, 3]
    rows = Features(torch.zeros(2, 1).double(), torch.randn(2, 4, 3, dtype=torch.float64).requires_grad_())
    mask = torch.arange(5)[None, :] < torch.tensor(lengths)[:, None]
    cols = Features(torch.zeros(3, 1).double(), torch.randn(3, 5, 3, dtype=torch.float64).requires_grad_(), mask)
    return rows, cols, [4, 4], lengths


@pytest.mark.parametrize("turned", [False, True], ids=["image to text", "text to image"])
def test_oracle(turned: bool) -> None:
    rows, cols, n, m = _sides()
    if turned:
        rows, cols, n, m = cols, rows, m, n
    assert rows.tokens is not None and cols.tokens is not None
    weights = torch.randn(len(n), len(m), dtype=torch.float64)
    found = compare(FILIP(), rows, cols)
    a, b = rows.tokens.tolist(), cols.tokens.tolist()

    def whole() -> float:
        return sum(
            float(weights[i, j]) * _score(a[i][: n[i]], b[j][: m[j]]) for i in range(len(n)) for j in range(len(m))
        )

    for i in range(len(n)):
        expected = [_score(a[i][: n[i]], b[j][: m[j]]) for j in range(len(m))]
        assert found[i].tolist() == pytest.approx(expected, abs=1e-12)
    gradients = torch.autograd.grad((found * weights).sum(), [rows.tokens, cols.tokens])
    for given, gradient in zip((a, b), gradients, strict=True):
        for i, k, d in product(range(len(given)), range(len(given[0])), range(3)):
            kept, values = given[i][k][d], []
            for step in (1e-6, -1e-6):
                given[i][k][d] = kept + step
                values.append(whole())
            given[i][k][d] = kept
            assert float(gradient[i, k, d]) == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-6)


def test_an_item_without_a_token_is_like_nothing() -> None:
    rows, cols, _, _ = _sides()
    none = Features(cols.pooled, cols.tokens, torch.zeros(3, 5, dtype=torch.bool))
    assert compare(FILIP(), rows, none).eq(0).all() and compare(FILIP(), none, rows).eq(0).all()


CLAIM = Claim(
    says="Words that look for their patches retrieve scenes of several things better than one vector an item does.",
    method=replace(RECIPE, objective="filip"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
CLAIM_GPU = larger(CLAIM)
