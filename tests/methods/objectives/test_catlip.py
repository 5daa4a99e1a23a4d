"""CatLIP against its definition in loops."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from dovetail.contracts import Batch, Captions, Concepts, Tokens
from dovetail.data.records import DataError
from dovetail.data.worlds import Sampler, Telling, World
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import GROUPS, LEARNABLE, RECIPE, held_out, scenes
from dovetail.evaluation.probes import LinearProbe
from dovetail.methods.objectives.catlip import CatLIP
from tests.contracts.samples import dual_encoder
from tests.processes import run

NAMED = [[0, 2], [], [1], [0, 1, 2]]
WEIGHTS = [1.0, 0.5, 2.0, 1.0]
CAPTIONS = ["a red dog", "red dogs", "a dog and a cat", "cats"]


def _batch(rows: slice = slice(None)) -> Batch:
    named = NAMED[rows]
    b = len(named)
    tokens = Tokens(torch.ones(b, 2, dtype=torch.int64), torch.ones(b, 2, dtype=torch.bool))
    index = torch.tensor([c for those in named for c in those], dtype=torch.int64)
    owner = torch.tensor([i for i, those in enumerate(named) for _ in those], dtype=torch.int64)
    return Batch(
        torch.zeros(b, 3, 4, 4, dtype=torch.uint8),
        Captions(tokens, torch.arange(b), torch.zeros(b, dtype=torch.int64)),
        torch.arange(b),
        weights=torch.tensor(WEIGHTS[rows]),
        concepts=Concepts(index, owner),
    )


def _scores() -> Tensor:
    torch.manual_seed(0)
    return (2 * torch.randn(4, 3, dtype=torch.float64)).requires_grad_()


def _oracle(scores: list[list[float]]) -> float:
    total = 0.0
    for row, named, weight in zip(scores, NAMED, WEIGHTS, strict=True):
        for c, z in enumerate(row):
            chance = 1 / (1 + math.exp(-z))
            total -= weight * math.log(chance if c in named else 1 - chance)
    return total / sum(WEIGHTS)


def test_oracle() -> None:
    scores = _scores()
    found = CatLIP().terms(scores, _batch())["concepts"]
    assert found.item() == pytest.approx(_oracle(scores.tolist()), abs=1e-12)
    (gradient,) = torch.autograd.grad(found, scores)
    for i, c in torch.cartesian_prod(torch.arange(4), torch.arange(3)).tolist():
        ends = []
        for step in (1e-6, -1e-6):
            moved = scores.tolist()
            moved[i][c] += step
            ends.append(_oracle(moved))
        assert gradient[i, c].item() == pytest.approx((ends[0] - ends[1]) / 2e-6, abs=1e-7)


def _part(rank: int) -> tuple[Tensor, Tensor]:
    scores, rows = _scores(), (slice(0, 1), slice(1, 4))[rank]
    value = CatLIP().terms(scores[rows], _batch(rows))["concepts"]
    value.backward()
    assert scores.grad is not None
    return value.detach(), scores.grad


def test_two_processes_are_one() -> None:
    parts, scores = run(_part, 2), _scores()
    value = CatLIP().terms(scores, _batch())["concepts"]
    value.backward()
    assert scores.grad is not None
    torch.testing.assert_close((parts[0][0] + parts[1][0]) / 2, value.detach())
    torch.testing.assert_close((parts[0][1] + parts[1][1]) / 2, scores.grad)


def test_only_the_images_side_learns() -> None:
    model, objective = dual_encoder(), CatLIP(least=2)
    objective.begin(model, CAPTIONS)
    assert objective.vocabulary.names == ("dog", "cat", "red")
    assert {n.partition(".")[0] for n, p in model.named_parameters() if p.requires_grad} == {
        "image", "image_projection"
    }  # fmt: skip
    with pytest.raises(DataError, match="no word is in 9 captions"):
        CatLIP(least=9).begin(model, CAPTIONS)


def test_a_new_classifier_begins_with_what_is_known_of_the_names() -> None:
    model, objective = dual_encoder(), CatLIP(least=2)
    objective.begin(model, CAPTIONS)
    made = objective.classifier(["cat", "Red dogs", "zebra"])
    w, b = objective.rows.weight, objective.rows.bias
    assert isinstance(made, nn.Linear) and made.weight.requires_grad
    torch.testing.assert_close(made.weight[:2], torch.stack([w[1], (w[0] + w[2]) / 2]))
    torch.testing.assert_close(made.bias[:2], torch.stack([b[1], (b[0] + b[2]) / 2]))
    assert made.weight[2].abs().max() > 0


SINGLES = World(Sampler((1, 1), LEARNABLE), telling=Telling(("short",)))
KNOWN, ASKED = held_out(SINGLES, 2_500).split(2_000, 500)

CLAIM = Claim(
    says="After the same steps, cheaper ones without a text tower, a linear probe on its images does better than on "
    "those of InfoNCE.",
    method=replace(RECIPE, objective="catlip"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(GROUPS),
    benchmark=LinearProbe(KNOWN, ASKED),
    metric="linear_probe/top1",
)
