"""FLAIR against its definition in loops, the mean over its authors' random draws, and over processes."""

import math
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dovetail.catalogue import build
from dovetail.contracts import Batch, Captions, Features, Kind, Similarity, Tokens
from dovetail.data.records import DataError
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import PARAGRAPHS, RECIPE, held_out, scenes
from dovetail.methods.objectives.flair import FLAIR
from dovetail.models.contrasting import Encoded
from dovetail.models.dual_encoder import DualEncoder
from dovetail.models.pixels import normalised
from dovetail.models.pretrained import load, save
from dovetail.nn.text_conditioned import TextConditionedPooling
from dovetail.ops.similarity import compare
from tests.contracts.samples import batch as whole_batch
from tests.contracts.samples import dual_encoder
from tests.processes import run

Row, Rows = list[float], list[list[float]]
IDS, OWNER, KIND = [7, 8, 7], [0, 0, 1, 1, 2], [Kind.RAW, Kind.RAW, Kind.RAW, Kind.NEGATIVE, Kind.RAW]
SCALE, BIAS, WIDTH, HEADS, PATCHES = 3.0, -1.0, 4, 2, 3


def _dot(a: Row, b: Row) -> float:
    return sum(p * q for p, q in zip(a, b, strict=True))


def _cosine(a: Row, b: Row) -> float:
    return _dot(a, b) / math.hypot(*a) / math.hypot(*b)


def _cost(score: float, own: bool) -> float:
    return math.log(1 + math.exp(-(SCALE * score + BIAS) * (1 if own else -1)))


def _norm(a: Row) -> Row:
    """Layer normalisation as it is at the start."""
    mean = sum(a) / len(a)
    return [(v - mean) / math.sqrt(sum((w - mean) ** 2 for w in a) / len(a) + 1e-5) for v in a]


def _view(text: Row, patches: Rows, objective: FLAIR) -> Row:
    """What a text sees in an image: each head on its own, and zeros beside the patches."""
    inner, outer = objective.pooling.inner.weight.tolist(), objective.pooling.outer.weight.tolist()
    query = [_dot(r, _norm(text)) for r in inner[:WIDTH]]
    keys = [[_dot(r, _norm(p)) for r in inner[WIDTH : 2 * WIDTH]] for p in patches] + [[0.0] * WIDTH]
    values = [[_dot(r, _norm(p)) for r in inner[2 * WIDTH :]] for p in patches] + [[0.0] * WIDTH]
    found: Row = []
    for at in range(0, WIDTH, WIDTH // HEADS):
        part = slice(at, at + WIDTH // HEADS)
        weights = [math.exp(_dot(query[part], k[part]) / math.sqrt(WIDTH // HEADS)) for k in keys]
        found += [_dot(weights, [v[d] for v in values]) / sum(weights) for d in range(at, at + WIDTH // HEADS)]
    return [_dot(r, found) for r in outer]


def _defined(patches: list[Rows], images: Rows, texts: Rows, objective: FLAIR) -> tuple[float, float]:
    true = [j for j, kind in enumerate(KIND) if kind != Kind.NEGATIVE]
    thing = {j: IDS[OWNER[j]] for j in true}
    conditioned, several = 0.0, 0.0
    for i, name in enumerate(IDS):
        costs, total = 0.0, 0.0
        for j in true:
            own = thing[j] == name
            weight = 1.0 if own else 1 / sum(other == thing[j] for other in thing.values())
            costs += weight * _cost(_cosine(_view(texts[j], patches[i], objective), texts[j]), own)
            total += weight
            several += _cost(_cosine(images[i], texts[j]), own) / len(true)
        conditioned += costs / total
    return conditioned / 2, several / 2


def _objective() -> FLAIR:
    made = FLAIR(HEADS)
    torch.manual_seed(4)
    made.pooling = TextConditionedPooling(WIDTH, HEADS)
    return made.double()


def _batch(images: slice = slice(None), texts: slice = slice(None)) -> Batch:
    owner = torch.tensor(OWNER[texts])
    tokens = Tokens(torch.ones(len(owner), 2, dtype=torch.int64), torch.ones(len(owner), 2, dtype=torch.bool))
    captions = Captions(tokens, owner - (images.start or 0), torch.tensor([int(k) for k in KIND[texts]]))
    ids = torch.tensor(IDS[images])
    return Batch(torch.zeros(len(ids), 3, 4, 4, dtype=torch.uint8), captions, ids)


def _points() -> list[Tensor]:
    """Patches, images and texts."""
    torch.manual_seed(3)
    shapes = ((3, PATCHES, WIDTH), (3, WIDTH), (5, WIDTH))
    return [torch.randn(shape, dtype=torch.float64).requires_grad_() for shape in shapes]


def _terms(
    objective: FLAIR, points: list[Tensor], images: slice = slice(None), texts: slice = slice(None)
) -> dict[str, Tensor]:
    patches, x, y = points[0][images], points[1][images], points[2][texts]
    outputs = Encoded(Features(x, patches), Features(y), x.new_tensor(SCALE), x.new_tensor(BIAS))
    return dict(objective.terms(outputs, _batch(images, texts)))


def test_oracle() -> None:
    points, objective = _points(), _objective()
    found = _terms(objective, points)
    lists: list[Any] = [x.tolist() for x in points]
    conditioned, several = _defined(lists[0], lists[1], lists[2], objective)
    assert found["text-conditioned"].item() == pytest.approx(conditioned, abs=1e-10)
    assert found["multi-positive"].item() == pytest.approx(several, abs=1e-10)
    gradients = torch.autograd.grad(sum(found.values()), points)
    for items, gradient in zip(lists, gradients, strict=True):
        for at in product(*map(range, gradient.shape)):
            row = items[at[0]] if len(at) == 2 else items[at[0]][at[1]]
            kept, values = row[at[-1]], []
            for step in (1e-6, -1e-6):
                row[at[-1]] = kept + step
                values.append(sum(_defined(lists[0], lists[1], lists[2], objective)))
            row[at[-1]] = kept
            assert gradient[at].item() == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-6)


def test_is_the_mean_over_the_authors_draws() -> None:
    """Three images of two captions: a row holds its own two and one of each other image; sums over all by columns."""
    objective, b, k = _objective(), 3, 2
    patches, x, y = (torch.randn(s, dtype=torch.float64) for s in ((b, 4, WIDTH), (b, WIDTH), (b * k, WIDTH)))
    views = F.normalize(objective.pooling(y, patches, None), dim=2)
    z = 2 * (torch.arange(b)[:, None] == torch.arange(b * k)[None] // k).double() - 1
    unit = F.normalize(y, dim=1)
    costs = -F.logsigmoid(z * (SCALE * (views * unit).sum(2) + BIAS))
    drawn = []
    for choice in product(range(k), repeat=b):
        rows = [[i * k + m for m in range(k)] + [o * k + choice[o] for o in range(b) if o != i] for i in range(b)]
        drawn.append(sum(costs[i, row].sum() for i, row in enumerate(rows)) / (b + k - 1))
    several = -F.logsigmoid(z * (SCALE * F.normalize(x, dim=1) @ unit.T + BIAS)).sum() / (b * k)
    owner, ids = torch.arange(b * k) // k, torch.arange(b)
    tokens = Tokens(torch.ones(b * k, 2, dtype=torch.int64), torch.ones(b * k, 2, dtype=torch.bool))
    batch = Batch(torch.zeros(b, 3, 4, 4, dtype=torch.uint8), Captions(tokens, owner, 0 * owner), ids)
    outputs = Encoded(Features(x, patches), Features(y), x.new_tensor(SCALE), x.new_tensor(BIAS))
    torch.testing.assert_close(sum(objective.terms(outputs, batch).values()), (sum(drawn) / len(drawn) + several) / 2)


def _whole(objective: FLAIR, points: list[Tensor], *part: slice) -> tuple[Tensor, list[Tensor]]:
    value = torch.stack(list(_terms(objective, points, *part).values())).sum()
    value.backward()
    leaves = [*points, *objective.parameters()]
    assert all(x.grad is not None for x in leaves)
    return value.detach(), [x.grad for x in leaves if x.grad is not None]


def _part(rank: int) -> tuple[Tensor, list[Tensor]]:
    return _whole(_objective(), _points(), *((slice(0, 1), slice(0, 2)), (slice(1, 3), slice(2, 5)))[rank])


def test_two_processes_are_one() -> None:
    parts, (value, gradients) = run(_part, 2), _whole(_objective(), _points())
    torch.testing.assert_close((parts[0][0] + parts[1][0]) / 2, value)
    for one, two, expected in zip(parts[0][1], parts[1][1], gradients, strict=True):
        torch.testing.assert_close((one + two) / 2, expected)


def test_the_attention_is_as_wide_as_the_embeddings() -> None:
    objective, model = FLAIR(2), dual_encoder()
    assert not list(objective.parameters())
    objective.begin(model, ())
    assert set(objective.terms(objective.encode(model, whole_batch()), whole_batch())) == {
        "text-conditioned",
        "multi-positive",
    }
    with pytest.raises(DataError, match=r"flair\(heads=3\) does not divide embeddings of 16 numbers"):
        FLAIR(3).begin(model, ())


@pytest.mark.parametrize("projected", [True, False])
def test_the_model_keeps_what_ranks(projected: bool, tmp_path: Path) -> None:
    """Saved and opened again, a model scores by the views that were trained; another training goes on with them."""
    model = dual_encoder()
    if not projected:
        parts = model.image, model.text, None, model.preprocessing, model.tokenizer
        model = DualEncoder(*parts, build("cosine", Similarity))
    FLAIR(2).begin(model, ())
    assert not projected or model.image_token_projection is model.image_projection, "one map, also as it learns"
    for p in model.alike.parameters():
        p.data.normal_()
    save(model, tmp_path)
    opened, batch = load(tmp_path), whole_batch()
    images, texts = opened.image_features(batch.images, tokens=True), opened.text_features(batch.captions.tokens)
    own = opened.image_projection(opened.image(normalised(opened, batch.images)).tokens)
    torch.testing.assert_close(images.tokens, own)
    views = F.normalize(model.alike.pooling(texts.pooled, own, None), dim=2)
    expected = (views * F.normalize(texts.pooled, dim=1)).sum(2)
    torch.testing.assert_close(compare(opened.alike, images, texts), expected)
    again = FLAIR(2)
    again.begin(opened, ())
    torch.testing.assert_close(dict(again.pooling.named_parameters()), dict(model.alike.pooling.named_parameters()))
    other = FLAIR(4)
    other.begin(opened, ())
    assert other.pooling is opened.alike.pooling and other.pooling.heads == 4


def test_patches_that_the_map_does_not_fit_are_refused() -> None:
    model = dual_encoder()
    model.image.token_width = 48
    with pytest.raises(DataError, match="patches of 48 numbers and vectors of 32; take another, such as vit"):
        FLAIR(2).begin(model, ())


CLAIM = Claim(
    says="Captions that gather patches for themselves leave paragraphs found better than InfoNCE on their sentences.",
    method=replace(RECIPE, objective="flair", sub_captions=3),
    baseline=replace(RECIPE, objective="infonce", sub_captions=3),
    train=scenes(PARAGRAPHS),
    benchmark=RetrievalBenchmark(held_out(PARAGRAPHS), kinds=(Kind.LONG,)),
    metric="mean_recall",
)
