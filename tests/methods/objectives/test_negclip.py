"""NegCLIP against the authors' definition in loops, and the claim that it tells word orders apart."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dovetail.contracts import Batch, Captions, Features, Kind, Tokens
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import PAIRS, RECIPE, held_out, larger, scenes
from dovetail.evaluation.worlds.choice import ChoiceBenchmark
from dovetail.methods.objectives.contrastive import Contrastive
from dovetail.methods.objectives.negclip import NegCLIP
from dovetail.methods.pair_losses.siglip import SigLIP
from dovetail.models.contrasting import Encoded

IMAGES, WIDTH = 4, 5


def _batch(kinds: list[Kind], owner: list[int]) -> Batch:
    tokens = Tokens(torch.ones(len(owner), 2, dtype=torch.int64), torch.ones(len(owner), 2, dtype=torch.bool))
    captions = Captions(tokens, torch.tensor(owner), torch.tensor([int(k) for k in kinds]))
    return Batch(torch.zeros(IMAGES, 3, 4, 4, dtype=torch.uint8), captions, torch.arange(IMAGES))


def oracle(x: Tensor, true: Tensor, false: Tensor, scale: float) -> float:
    """The authors' loss: logits over true captions, then false ones; the way back over the true ones only."""

    def score(a: Tensor, b: Tensor) -> float:
        p, q = a.tolist(), b.tolist()
        return scale * sum(u * v for u, v in zip(p, q, strict=True)) / (math.hypot(*p) * math.hypot(*q))

    columns = [*true, *false]
    there = back = 0.0
    for i in range(len(x)):
        there -= math.log(math.exp(score(x[i], true[i])) / sum(math.exp(score(x[i], c)) for c in columns))
        back -= math.log(math.exp(score(x[i], true[i])) / sum(math.exp(score(image, true[i])) for image in x))
    return (there + back) / (2 * len(x))


def test_oracle() -> None:
    x, true, false = (torch.randn(IMAGES, WIDTH, dtype=torch.float64).requires_grad_() for _ in range(3))
    owner = list(range(IMAGES))
    batch = _batch([Kind.RAW] * IMAGES + [Kind.NEGATIVE] * IMAGES, owner + owner)
    texts = Features(torch.cat([true, false]))
    encoded = Encoded(Features(x), texts, torch.tensor(3.0, dtype=torch.float64), None)
    found = NegCLIP().terms(encoded, batch)["contrastive"]
    assert found.item() == pytest.approx(oracle(x, true, false, 3.0), abs=1e-12)
    step = 1e-6
    for leaf, gradient in zip((x, true, false), torch.autograd.grad(found, (x, true, false)), strict=True):
        for i in range(IMAGES):
            for k in range(WIDTH):
                ends = []
                for sign in (1, -1):
                    moved = leaf.detach().clone()
                    moved[i, k] += sign * step
                    ends.append(oracle(*(moved if t is leaf else t for t in (x, true, false)), 3.0))
                assert float(gradient[i, k]) == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-8)


def test_without_negatives_it_is_the_contrastive_objective() -> None:
    batch = _batch([Kind.RAW] * IMAGES, list(range(IMAGES)))
    encoded = Encoded(
        Features(torch.randn(IMAGES, WIDTH)),
        Features(torch.randn(IMAGES, WIDTH)),
        torch.tensor(5.0),
        torch.tensor(-1.0),
    )
    ours, plain = NegCLIP(SigLIP()).terms(encoded, batch), Contrastive(SigLIP()).terms(encoded, batch)
    assert ours["contrastive"] == plain["contrastive"]


def test_it_asks_for_negative_captions() -> None:
    assert NegCLIP.requires == ("negative captions",)


# Two plain things: which colour goes with which shape is all that there is to get wrong.
CLAIM = Claim(
    says="Trained with swapped captions as negatives, it tells a caption from one with two colours exchanged.",
    method=replace(RECIPE, objective="negclip"),
    baseline=replace(RECIPE, objective="infonce"),
    train=scenes(replace(PAIRS, negatives=("swapped attribute",))),
    benchmark=ChoiceBenchmark(held_out(PAIRS), kinds=("swapped attribute",)),
    metric="choice/swapped attribute",
    seeds=(0, 1, 2, 3, 4),
)
CLAIM_GPU = larger(CLAIM)
