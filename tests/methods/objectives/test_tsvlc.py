"""TSVLC against its definition in loops, its authors' form, and the claim that it tells word orders apart."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dovetail.contracts import Batch, Captions, Features, Kind, Tokens
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import PAIRS, RECIPE, held_out, larger, scenes
from dovetail.evaluation.worlds.choice import ChoiceBenchmark
from dovetail.methods.objectives.negclip import NegCLIP
from dovetail.methods.objectives.tsvlc import TSVLC
from dovetail.models.contrasting import Encoded

Matrix = list[list[float]]
T = 3.0
R, S, N = Kind.RAW, Kind.SYNTHETIC, Kind.NEGATIVE
# Image 1 has a caption alone, image 2 two of everything, image 4 synthetic ones alone; 0 and 3 are the same thing.
OWNER = [0, 0, 0, 1, 2, 2, 2, 2, 2, 2, 3, 3, 4, 4, 4]
KIND = [R, S, N, R, R, N, S, R, N, S, N, R, S, S, N]
IDS = [7, 8, 9, 7, 5]
TEXTS = [j for j, k in enumerate(KIND) if k == R or (k == S and OWNER[j] == 4)]
FALSE = [j for j, k in enumerate(KIND) if k == N]
AGAIN = [j for j, k in enumerate(KIND) if k == S and OWNER[j] != 4]


def _batch(owner: list[int] = OWNER, kind: list[Kind] = KIND, ids: list[int] = IDS) -> Batch:
    tokens = Tokens(torch.ones(len(owner), 2, dtype=torch.int64), torch.ones(len(owner), 2, dtype=torch.bool))
    captions = Captions(tokens, torch.tensor(owner), torch.tensor([int(k) for k in kind]))
    return Batch(torch.zeros(len(ids), 3, 4, 4, dtype=torch.uint8), captions, torch.tensor(ids))


def _score(a: list[float], b: list[float]) -> float:
    return T * sum(p * q for p, q in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _row(asking: list[float], columns: Matrix, own: list[bool]) -> float:
    scores = [_score(asking, c) for c in columns]
    against = sum(math.exp(s) for s, mine in zip(scores, own, strict=True) if not mine)
    return _mean([math.log(math.exp(s) + against) - s for s, mine in zip(scores, own, strict=True) if mine])


def _defined(x: Matrix, y: Matrix) -> list[float]:
    columns = TEXTS + FALSE
    there = [
        _row(a, [y[j] for j in columns], [j in TEXTS and IDS[OWNER[j]] == IDS[i] for j in columns])
        for i, a in enumerate(x)
    ]
    back = [_row(y[j], x, [IDS[OWNER[j]] == name for name in IDS]) for j in TEXTS]
    choices = []
    for i in range(5):
        true, false = ([j for j in which if OWNER[j] == i] for which in (TEXTS, FALSE))
        e = [math.exp(_score(x[i], row)) for row in y]
        if false:
            choices.append(_mean([-math.log(e[j] / (e[j] + sum(e[k] for k in false))) for j in true]))
    known = {OWNER[j] for j in AGAIN}

    def asked(row: list[float], i: int) -> float:
        return _row(row, [y[j] for j in AGAIN], [IDS[OWNER[j]] == IDS[i] for j in AGAIN])

    from_images = _mean([asked(x[i], i) for i in known])
    from_texts = _mean([asked(y[j], OWNER[j]) for j in TEXTS if OWNER[j] in known])
    return [(_mean(there) + _mean(back)) / 2, _mean(choices), (from_images + from_texts) / 2]


def _encoded(x: Tensor, y: Tensor) -> Encoded:
    return Encoded(Features(x), Features(y), x.new_tensor(T), None)


def test_oracle() -> None:
    torch.manual_seed(3)
    x, y = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (5, 15))
    found = TSVLC(0.5, 2.0).terms(_encoded(x, y), _batch())
    xs, ys = x.tolist(), y.tolist()

    def defined() -> list[float]:
        first, second, third = _defined(xs, ys)
        return [first, 0.5 * second, 2.0 * third]

    values = [found[name].item() for name in ("contrastive", "negatives", "analogy")]
    assert values == pytest.approx(defined(), abs=1e-12)
    gradients = torch.autograd.grad(sum(found.values()), [x, y])
    for rows, gradient in zip((xs, ys), gradients, strict=True):
        for i, k in ((i, k) for i in range(len(rows)) for k in range(3)):
            kept, ends = rows[i][k], []
            for step in (1e-6, -1e-6):
                rows[i][k] = kept + step
                ends.append(sum(defined()))
            rows[i][k] = kept
            assert float(gradient[i, k]) == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-8)


def test_equals_the_authors_form() -> None:
    """A caption, a paraphrase and two false captions an image, but for the last, which has no false ones."""
    b, d = 4, 6
    x, y, p = (F.normalize(torch.randn(b, d, dtype=torch.float64), dim=1) for _ in range(3))
    false = F.normalize(torch.randn(b - 1, 2, d, dtype=torch.float64), dim=2)
    kind = [R] * b + [S] * b + [N] * 2 * (b - 1)
    owner = [*range(b), *range(b), *(i for i in range(b - 1) for _ in range(2))]
    encoded = _encoded(x, torch.cat([y, p, false.flatten(0, 1)]))
    found = TSVLC().terms(encoded, _batch(owner, kind, list(range(b))))
    here = torch.arange(b)
    scores = T * x @ torch.cat([y, false.flatten(0, 1)]).T
    contrastive = (F.cross_entropy(scores, here) + F.cross_entropy(scores.T[:b], here)) / 2
    own = T * torch.einsum("bkd,bd->bk", torch.cat([y[: b - 1, None], false], 1), x[: b - 1])
    negatives = F.cross_entropy(own, torch.zeros(b - 1, dtype=torch.int64))
    analogy = (F.cross_entropy(T * x @ p.T, here) + F.cross_entropy(T * y @ p.T, here)) / 2
    for name, wanted in (("contrastive", contrastive), ("negatives", negatives), ("analogy", analogy)):
        assert found[name].item() == pytest.approx(wanted.item(), abs=1e-12), name


def test_without_paraphrases_it_is_negclip_and_the_choice() -> None:
    kind = [R if k == S else k for k in KIND]
    encoded = _encoded(torch.randn(5, 3), torch.randn(15, 3))
    found = TSVLC().terms(encoded, _batch(kind=kind))
    assert found["analogy"] == 0 and found["negatives"] > 0
    torch.testing.assert_close(found["contrastive"], NegCLIP().terms(encoded, _batch(kind=kind))["contrastive"])


CLAIM = Claim(
    says="Told from its own false captions once more, an image tells exchanged colours better than with InfoNCE alone.",
    method=replace(RECIPE, objective="tsvlc"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(replace(PAIRS, negatives=("swapped attribute",))),
    benchmark=ChoiceBenchmark(held_out(PAIRS), kinds=("swapped attribute",)),
    metric="choice/swapped attribute",
    seeds=(0, 1, 2, 3, 4),
)
CLAIM_GPU = larger(CLAIM)
