"""InfoNCE against its definition in loops, CLIP's loss and NT-Xent."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, RECIPE, held_out, larger, scenes
from dovetail.methods.pair_losses.infonce import InfoNCE
from dovetail.ops.contrast import row_losses

SCORES = torch.tensor([[0.3, -1.2, 2.0, 0.5], [1.0, 0.1, -0.4, 3.0], [-2.0, 0.7, 0.2, 0.9]], dtype=torch.float64)
TARGETS = {
    "one": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]],
    "several": [[1, 1, 0, 0], [0, 1, 1, 1], [1, 0, 0, 1]],
    "none and all": [[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0]],
    "soft": [[0.2, 0.8, 0, 0], [0, 1, 0.5, 0], [0.3, 0, 0, 0]],
}


def row(scores: list[float], targets: list[float]) -> float:
    """Eq. 4 for each positive against the row's negatives, the positives' mean weighted by their targets."""
    negatives = sum(math.exp(s) for s, t in zip(scores, targets, strict=True) if t == 0)
    total = sum(targets)
    return sum(
        -t / total * math.log(math.exp(s) / (math.exp(s) + negatives))
        for s, t in zip(scores, targets, strict=True)
        if t > 0
    )


def gradient(scores: list[float], targets: list[float]) -> list[float]:
    """Its derivative by hand: a positive is pulled by how much it lacks, a negative pushed by its share in each."""
    negatives = sum(math.exp(s) for s, t in zip(scores, targets, strict=True) if t == 0)
    total, found = sum(targets), [0.0] * len(scores)
    for p, weight in enumerate(targets):
        if weight > 0:
            whole = math.exp(scores[p]) + negatives
            found[p] -= weight / total * negatives / whole
            for j, t in enumerate(targets):
                found[j] += weight / total * math.exp(scores[j]) / whole if t == 0 else 0.0
    return found


@pytest.mark.parametrize("targets", TARGETS.values(), ids=TARGETS)
def test_oracle(targets: list[list[float]]) -> None:
    scores = SCORES.clone().requires_grad_()
    found = row_losses(InfoNCE(), scores, torch.tensor(targets, dtype=torch.float64))
    found.sum().backward()
    assert scores.grad is not None
    for i, (s, t) in enumerate(zip(SCORES.tolist(), targets, strict=True)):
        assert found[i].item() == pytest.approx(row(s, t), abs=1e-12)
        assert scores.grad[i].tolist() == pytest.approx(gradient(s, t), abs=1e-12)


def test_with_one_positive_is_cross_entropy() -> None:
    scores = 5 * torch.randn(6, 9)
    answer = torch.tensor([3, 0, 8, 2, 2, 5])
    found = row_losses(InfoNCE(), scores, F.one_hot(answer, 9).float())
    torch.testing.assert_close(found, F.cross_entropy(scores, answer, reduction="none"))


def test_positives_do_not_compete() -> None:
    targets = torch.tensor([[1.0, 1.0, 0.0]])
    for other in (-5.0, 0.0, 5.0):
        scores = torch.tensor([[1.0, other, 0.0]], requires_grad=True)
        row_losses(InfoNCE(), scores, targets).sum().backward()
        assert scores.grad is not None
        assert float(scores.grad[0, 0]) == pytest.approx(-0.5 / (1 + math.e), abs=1e-6)


def test_equals_open_clip() -> None:
    loss = pytest.importorskip("open_clip").loss.ClipLoss()
    images, texts = _unit(8), _unit(8)
    scale = torch.tensor(14.0, dtype=torch.float64, requires_grad=True)
    _same_gradients(loss(images, texts, scale), _both_ways(images, texts, scale), images, texts, scale)


def test_equals_nt_xent_with_several_positives() -> None:
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    distances = pytest.importorskip("pytorch_metric_learning.distances")
    images, texts, labels = _unit(4), _unit(8), torch.arange(8) % 4  # as many positives in every row
    theirs = losses.NTXentLoss(temperature=0.1, distance=distances.DotProductSimilarity(normalize_embeddings=False))
    found = theirs(images, labels[:4], ref_emb=texts, ref_labels=labels)
    ours = row_losses(InfoNCE(), 10 * images @ texts.T, (labels[:4, None] == labels[None, :]).double()).mean()
    _same_gradients(found, ours, images, texts)


def test_starts_at_the_temperature_of_clip() -> None:
    assert InfoNCE().initial_scale == pytest.approx(1 / 0.07)
    assert InfoNCE().initial_bias is None
    assert InfoNCE(initial_scale=5).initial_scale == 5


def _unit(n: int) -> Tensor:
    return F.normalize(torch.randn(n, 5, dtype=torch.float64), dim=1).requires_grad_()


def _both_ways(images: Tensor, texts: Tensor, scale: Tensor) -> Tensor:
    scores, targets = scale * images @ texts.T, torch.eye(len(images), dtype=images.dtype)
    return (row_losses(InfoNCE(), scores, targets).mean() + row_losses(InfoNCE(), scores.T, targets).mean()) / 2


def _same_gradients(theirs: Tensor, ours: Tensor, *leaves: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    for a, b in zip(torch.autograd.grad(ours, leaves), torch.autograd.grad(theirs, leaves), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


# Gradients are accumulated over eight losses, so that all but the number of negatives is equal.
CLAIM = Claim(
    says="With 127 negatives a question instead of 15, it learns to retrieve better from the same pictures and steps.",
    method=replace(RECIPE, objective="infonce"),
    baseline=replace(RECIPE, objective="infonce", settings=replace(RECIPE.settings, accumulate=8)),
    train=scenes(GROUPS),
    benchmark=RetrievalBenchmark(held_out(GROUPS)),
    metric="mean_recall",
)
CLAIM_GPU = larger(CLAIM)
