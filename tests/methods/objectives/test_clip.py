"""CLIP against its definition in loops, and as a name to compare with."""

import math

import pytest
import torch

from dovetail.contracts import Batch, Captions, Features, Tokens
from dovetail.methods.objectives.clip import CLIP
from dovetail.models.contrasting import Encoded
from dovetail.training.assemble import make_objective
from tests.contracts.samples import batch as small_batch
from tests.contracts.samples import dual_encoder

Matrix = list[list[float]]
SCALE, N = 6.0, 4


def _defined(x: Matrix, y: Matrix) -> float:
    """The paper's figure 3: cross-entropy over rows and over columns, of cosines times a scale."""

    def score(a: list[float], b: list[float]) -> float:
        return SCALE * sum(p * q for p, q in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))

    total = 0.0
    for i in range(N):
        total += math.log(sum(math.exp(score(x[i], b)) for b in y)) - score(x[i], y[i])
        total += math.log(sum(math.exp(score(a, y[i])) for a in x)) - score(x[i], y[i])
    return total / (2 * N)


def test_oracle() -> None:
    x, y = (torch.randn(N, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    owner = torch.arange(N)
    tokens = Tokens(torch.ones(N, 2, dtype=torch.int64), torch.ones(N, 2, dtype=torch.bool))
    batch = Batch(torch.zeros(N, 3, 4, 4, dtype=torch.uint8), Captions(tokens, owner, 0 * owner), owner)
    outputs = Encoded(Features(x), Features(y), torch.tensor(SCALE, dtype=torch.float64), None)
    found = CLIP().terms(outputs, batch)["contrastive"]
    xs, ys = x.tolist(), y.tolist()
    assert found.item() == pytest.approx(_defined(xs, ys), abs=1e-12)
    for rows, gradient in zip((xs, ys), torch.autograd.grad(found, [x, y]), strict=True):
        for i, k in ((i, k) for i in range(N) for k in range(3)):
            kept, values = rows[i][k], []
            for step in (1e-6, -1e-6):
                rows[i][k] = kept + step
                values.append(_defined(xs, ys))
            rows[i][k] = kept
            assert float(gradient[i, k]) == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-7)


def test_it_is_what_infonce_names() -> None:
    clip, infonce = make_objective("clip"), make_objective("infonce")
    assert isinstance(clip, CLIP) and clip.loss.initial_scale == pytest.approx(1 / 0.07)
    model, data = dual_encoder(clip.loss, clip.similarity).eval(), small_batch()
    found, wanted = (o.terms(o.encode(model, data), data)["contrastive"] for o in (clip, infonce))
    assert found == wanted
