"""FDT against its definition in loops and its authors' form; sparsemax against a search for its threshold."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dovetail.contracts import Batch, Captions, Features, Kind, Tokens
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, larger, scenes
from dovetail.methods.objectives.fdt import FDT, Described, sparsemax
from dovetail.models.contrasting import Encoded
from tests.contracts.samples import batch as sample
from tests.contracts.samples import dual_encoder

Matrix = list[list[float]]
SCALE, WIDTH, CODES = 4.0, 3, 6


def _dot(a: list[float], b: list[float]) -> float:
    return sum(p * q for p, q in zip(a, b, strict=True))


def _projected(z: list[float]) -> list[float]:
    """max(0, z - t), with t found by halving until the sum is 1."""
    low, high = min(z) - 1, max(z)
    for _ in range(200):
        t = (low + high) / 2
        low, high = (t, high) if sum(max(0.0, v - t) for v in z) > 1 else (low, t)
    return [max(0.0, v - t) for v in z]


def _described(queries: Matrix, codebook: Matrix, temperature: float) -> list[float]:
    best = [max(_dot(q, v) for q in queries) / (math.sqrt(WIDTH) * temperature) for v in codebook]
    weights = _projected(best)
    return [sum(w * v[k] for w, v in zip(weights, codebook, strict=True)) for k in range(WIDTH)]


def _infonce(x: Matrix, y: Matrix) -> float:
    def score(a: list[float], b: list[float]) -> float:
        return SCALE * _dot(a, b) / math.sqrt(_dot(a, a) * _dot(b, b))

    there = sum(math.log(sum(math.exp(score(a, b)) for b in y)) - score(a, y[i]) for i, a in enumerate(x))
    back = sum(math.log(sum(math.exp(score(a, b)) for a in x)) - score(x[i], b) for i, b in enumerate(y))
    return (there + back) / (2 * len(x))


def _begun(objective: FDT, width: int = WIDTH) -> FDT:
    model = dual_encoder()
    model.embed_dim = width
    objective.begin(model, ())
    return objective


def _objective(pooled: float = 1.0) -> FDT:
    return _begun(FDT(CODES, temperature=0.7, pooled=pooled)).double()


def _batch(b: int) -> Batch:
    tokens = Tokens(torch.ones(b, 2, dtype=torch.int64), torch.ones(b, 2, dtype=torch.bool))
    captions = Captions(tokens, torch.arange(b), torch.full((b,), int(Kind.RAW)))
    return Batch(torch.zeros(b, 3, 4, 4, dtype=torch.uint8), captions, torch.arange(b))


def _loss(objective: FDT, images: Features, texts: Features, query: nn.Module) -> dict[str, Tensor]:
    scale = torch.tensor(SCALE, dtype=torch.float64)
    codes = [Features(objective.describe(f, query)) for f in (images, texts)]
    outputs = Described(Encoded(images, texts, scale, None), Encoded(codes[0], codes[1], scale, None))
    return dict(objective.terms(outputs, _batch(len(images.pooled))))


def test_oracle() -> None:
    """In value and gradient, of queries as they come: the network before them is torch's own."""
    torch.manual_seed(1)
    objective = _objective(0.5)
    patches, words = (torch.randn(3, n, WIDTH, dtype=torch.float64, requires_grad=True) for n in (4, 2))
    x, y = (torch.randn(3, WIDTH, dtype=torch.float64) for _ in range(2))
    found = _loss(objective, Features(x, patches), Features(y, words), nn.Identity())
    leaves = [patches, words, objective.codebook]

    def defined(values: list[Tensor]) -> float:
        u, v, codebook = (value.tolist() for value in values)
        return _infonce(*([_described(q, codebook, 0.7) for q in side] for side in (u, v)))

    assert found["codebook"].item() == pytest.approx(defined(leaves), abs=1e-10)
    assert found["pooled"].item() == pytest.approx(0.5 * _infonce(x.tolist(), y.tolist()), abs=1e-10)
    gradients = torch.autograd.grad(found["codebook"], leaves)
    assert all(g.abs().max() > 1e-3 for g in gradients)
    for which, gradient in enumerate(gradients):
        for at in range(gradient.numel()):
            ends = []
            for step in (1e-6, -1e-6):
                moved = [leaf.detach().clone() for leaf in leaves]
                moved[which].view(-1)[at] += step
                ends.append(defined(moved))
            assert float(gradient.flatten()[at]) == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-6)


def test_sparsemax() -> None:
    torch.manual_seed(2)
    for spread in (0.01, 0.3, 3.0, 300.0):
        z = spread * torch.randn(20, 9, dtype=torch.float64)
        found = sparsemax(z)
        wanted = torch.tensor([_projected(row) for row in z.tolist()], dtype=torch.float64)
        torch.testing.assert_close(found, wanted)
    z = torch.randn(4, 9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(sparsemax, z)
    torch.testing.assert_close(sparsemax(z + 5), sparsemax(z))
    torch.testing.assert_close(sparsemax(torch.zeros(1, 4)), torch.full((1, 4), 0.25))


def test_equals_the_authors_form() -> None:
    """Their steps in matrices, with the network of the images."""
    objective, n = _objective(), 5
    norm, first, _, second, last = objective.image_query
    patches = torch.randn(4, n, WIDTH, dtype=torch.float64)
    assert isinstance(norm, nn.LayerNorm) and isinstance(second, nn.LayerNorm)
    queries = last(second(F.gelu(first(norm(patches)))))
    inner = torch.matmul(queries, objective.codebook[None].transpose(2, 1)) / math.sqrt(WIDTH) / 0.7
    found = objective.describe(Features(patches[:, 0], patches), objective.image_query)
    torch.testing.assert_close(found, sparsemax(inner.max(1)[0]) @ objective.codebook)


def test_padding_is_no_word_and_no_word_is_the_mean() -> None:
    objective = _objective()
    words, mask = torch.randn(2, 4, WIDTH, dtype=torch.float64), torch.tensor([[True, True, False, False], [False] * 4])
    found = objective.describe(Features(words[:, 0], words, mask), objective.text_query)
    short = words[:1, :2]
    torch.testing.assert_close(found[:1], objective.describe(Features(short[:, 0], short), objective.text_query))
    torch.testing.assert_close(found[1], objective.codebook.mean(0))


def test_a_low_temperature_uses_few_codes() -> None:
    words = Features(torch.zeros(5, WIDTH), torch.randn(5, 4, WIDTH))
    few, many = (_begun(FDT(64, temperature)) for temperature in (0.01, 1e4))
    one = few.describe(words, nn.Identity())
    assert ((one[:, None] - few.codebook).norm(dim=2).amin(1) < 1e-4).all(), "a single code"
    torch.testing.assert_close(
        many.describe(words, nn.Identity()), many.codebook.mean(0).expand(5, -1), atol=0.01, rtol=0
    )


def test_the_codebook_is_as_wide_as_the_embeddings_and_the_same_every_time() -> None:
    objective, model = FDT(codes=4), dual_encoder()
    assert not list(objective.parameters())
    objective.begin(model, ())
    found = objective.encode(model, sample())
    assert found.codes.images.pooled.shape == found.pooled.images.pooled.shape == (5, 16)
    other = FDT(codes=4)
    other.begin(model, ())
    assert torch.equal(objective.codebook, other.codebook)


# A 32nd of the paper's codes, and of its temperature.
CLAIM = Claim(
    says="Describing both sides with one codebook of tokens, it learns to retrieve better than InfoNCE does.",
    method=replace(RECIPE, objective="fdt(codes=512, temperature=31.25)"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
CLAIM_GPU = larger(CLAIM)
