"""The contrastive objective against its definition in loops, and CLIP and SigLIP of open_clip."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dovetail.contracts import Batch, Captions, Features, Kind, Tokens
from dovetail.methods.objectives.contrastive import Contrastive
from dovetail.methods.pair_losses.infonce import InfoNCE
from dovetail.methods.pair_losses.siglip import SigLIP
from dovetail.methods.similarities.cosine import Cosine
from dovetail.models.contrasting import Encoded
from tests.contracts.samples import batch as small_batch
from tests.contracts.samples import dual_encoder

Matrix = list[list[float]]


@dataclass(frozen=True)
class Leaves:
    """What the towers say, and scale and bias, all of which get gradients."""

    images: Tensor
    texts: Tensor
    scale: Tensor
    bias: Tensor | None

    @staticmethod
    def of(images: Matrix | Tensor, texts: Matrix | Tensor, scale: float, bias: float | None) -> "Leaves":
        given = (images, texts, scale, bias)
        values = [None if x is None else torch.as_tensor(x, dtype=torch.float64).requires_grad_() for x in given]
        return Leaves(*values)  # type: ignore[arg-type]

    def learnt(self) -> list[Tensor]:
        return [x for x in (self.images, self.texts, self.scale, self.bias) if x is not None]


def _value(loss: Any, leaves: Leaves, batch: Batch) -> Tensor:
    encoded = Encoded(Features(leaves.images), Features(leaves.texts), leaves.scale, leaves.bias)
    terms = Contrastive(loss, Cosine()).terms(encoded, batch)
    assert list(terms) == ["contrastive"]
    return terms["contrastive"]


def _batch(owner: list[int], kind: list[Kind], ids: list[int], weights: list[float] | None = None) -> Batch:
    t, b = len(owner), len(ids)
    tokens = Tokens(torch.ones(t, 2, dtype=torch.int64), torch.ones(t, 2, dtype=torch.bool))
    captions = Captions(tokens, torch.tensor(owner), torch.tensor([int(k) for k in kind]))
    images = torch.zeros(b, 3, 4, 4, dtype=torch.uint8)
    return Batch(images, captions, torch.tensor(ids), weights=None if weights is None else torch.tensor(weights))


def infonce(scores: list[float], positive: list[bool]) -> float:
    negatives = sum(math.exp(s) for s, p in zip(scores, positive, strict=True) if not p)
    costs = [-math.log(math.exp(s) / (math.exp(s) + negatives)) for s, p in zip(scores, positive, strict=True) if p]
    return sum(costs) / len(costs) if costs else 0.0


def siglip(scores: list[float], positive: list[bool]) -> float:
    return sum(math.log(1 + math.exp(-s if p else s)) for s, p in zip(scores, positive, strict=True))


@dataclass(frozen=True)
class Case:
    """How five captions belong to three images, and the weight of each image."""

    owner: list[int]
    kind: list[Kind]
    ids: list[int]
    weights: list[float]


RAW, NEGATIVE = Kind.RAW, Kind.NEGATIVE
CASES = {
    "several captions": Case([0, 0, 1, 2, 2], [RAW, Kind.LONG, RAW, RAW, Kind.SYNTHETIC], [4, 5, 6], [1, 1, 1]),
    "in any order": Case([2, 0, 1, 0, 1], [RAW] * 5, [4, 5, 6], [1, 1, 1]),
    "equal ids": Case([0, 0, 1, 2, 2], [RAW] * 5, [4, 5, 4], [1, 1, 1]),
    "hard negatives": Case([0, 0, 1, 2, 2], [RAW, NEGATIVE, RAW, RAW, NEGATIVE], [4, 5, 6], [1, 1, 1]),
    "an image without a caption": Case([0, 0, 1, 1, 1], [RAW, NEGATIVE, RAW, RAW, RAW], [4, 5, 6], [1, 1, 1]),
    "weights": Case([0, 0, 1, 2, 2], [RAW, RAW, RAW, RAW, NEGATIVE], [4, 5, 6], [1, 0, 0.5]),
}


def oracle(
    case: Case, row: Callable[[list[float], list[bool]], float], x: Matrix, y: Matrix, t: float, c: float
) -> float:
    """Both directions by the definition, over images and captions, one at a time."""

    def score(i: int, j: int) -> float:
        lengths = math.hypot(*x[i]) * math.hypot(*y[j])
        return t * sum(a * b for a, b in zip(x[i], y[j], strict=True)) / lengths + c

    def belongs(i: int, j: int) -> bool:
        return case.kind[j] != NEGATIVE and case.ids[case.owner[j]] == case.ids[i]

    images, captions = range(len(x)), range(len(y))
    there = [row([score(i, j) for j in captions], [belongs(i, j) for j in captions]) for i in images]
    asking = [j for j in captions if case.kind[j] != NEGATIVE]
    back = [row([score(i, j) for i in images], [belongs(i, j) for i in images]) for j in asking]
    of_captions = [case.weights[case.owner[j]] for j in asking]
    return (_mean(there, case.weights) + _mean(back, of_captions)) / 2


def _mean(values: list[float], weights: list[float]) -> float:
    return sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize(
    "loss, row, bias", [(InfoNCE(), infonce, None), (SigLIP(), siglip, -1.5)], ids=["infonce", "siglip"]
)
def test_oracle(case: Case, loss: Any, row: Callable[[list[float], list[bool]], float], bias: float | None) -> None:
    x, y = torch.randn(3, 4, dtype=torch.float64).tolist(), torch.randn(5, 4, dtype=torch.float64).tolist()
    leaves = Leaves.of(x, y, 4.0, bias)
    batch = _batch(case.owner, case.kind, case.ids, None if case.weights == [1, 1, 1] else case.weights)
    value = _value(loss, leaves, batch)
    images, texts, scale, *rest = torch.autograd.grad(value, leaves.learnt())

    def at(t: float, c: float) -> float:
        return oracle(case, row, x, y, t, c)

    assert value.item() == pytest.approx(at(4.0, bias or 0.0), abs=1e-10)
    for rows, gradient in ((x, images), (y, texts)):
        for i, k in ((i, k) for i in range(len(rows)) for k in range(4)):
            assert float(gradient[i, k]) == pytest.approx(_slope(lambda: at(4.0, bias or 0.0), rows[i], k), abs=1e-7)
    step = 1e-5
    by_scale = (at(4.0 + step, bias or 0.0) - at(4.0 - step, bias or 0.0)) / (2 * step)
    assert float(scale) == pytest.approx(by_scale, abs=1e-7)
    if bias is not None:
        by_bias = (at(4.0, bias + step) - at(4.0, bias - step)) / (2 * step)
        assert float(rest[0]) == pytest.approx(by_bias, abs=1e-7)


def _slope(f: Callable[[], float], numbers: list[float], k: int, step: float = 1e-5) -> float:
    """The central difference of f in one of the numbers."""
    kept = numbers[k]
    numbers[k] = kept + step
    above = f()
    numbers[k] = kept - step
    below = f()
    numbers[k] = kept
    return (above - below) / (2 * step)


@pytest.mark.parametrize("name, loss, bias", [("ClipLoss", InfoNCE(), None), ("SigLipLoss", SigLIP(), -9.0)])
def test_one_caption_an_image_equals_open_clip(name: str, loss: Any, bias: float | None) -> None:
    theirs = getattr(pytest.importorskip("open_clip").loss, name)()
    leaves = Leaves.of(torch.randn(7, 6), torch.randn(7, 6), 12.0, bias)
    images, texts = (F.normalize(x, dim=1) for x in (leaves.images, leaves.texts))
    expected = theirs(images, texts, *leaves.learnt()[2:])
    found = _value(loss, leaves, _batch(list(range(7)), [RAW] * 7, list(range(7))))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    ours = torch.autograd.grad(found, leaves.learnt())
    for a, b in zip(ours, torch.autograd.grad(expected, leaves.learnt()), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9)


def test_encodes_with_both_towers() -> None:
    model, batch = dual_encoder(SigLIP(), Cosine()).eval(), small_batch()
    encoded = Contrastive(SigLIP(), Cosine()).encode(model, batch)
    assert torch.equal(encoded.images.pooled, model.image_features(batch.images).pooled)
    assert torch.equal(encoded.texts.pooled, model.text_features(batch.captions.tokens).pooled)
    assert encoded.scale == model.scale and encoded.bias is model.bias
    assert encoded.images.tokens is None and encoded.texts.tokens is None, (
        "what the similarity does not read is not made"
    )
