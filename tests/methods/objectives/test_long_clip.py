"""Long-CLIP's terms against their definition in loops, over processes, and what lengthens a model."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dovetail.contracts import Batch, Captions, Features, Kind, Tokens
from dovetail.data.images import decode
from dovetail.data.records import DataError
from dovetail.data.survey import survey
from dovetail.data.worlds import Sampler, Telling, World
from dovetail.evaluation.benchmarks import RetrievalBenchmark
from dovetail.evaluation.claims.claim import Claim
from dovetail.evaluation.claims.laboratory import LEARNABLE, RECIPE, UNTURNED, held_out, scenes
from dovetail.methods.objectives.long_clip import LongClip
from dovetail.models.contrasting import Encoded
from dovetail.models.lora import add_lora
from dovetail.models.pretrained import load
from dovetail.training.recipe import Recipe
from dovetail.training.run import fit
from dovetail.training.tuning import Trained
from tests.models.small import TEXTS, model
from tests.processes import run

OWNER = [0, 0, 1, 2, 2, 3, 3, 4, 5]
KIND = [Kind.LONG, Kind.RAW, Kind.LONG, Kind.RAW, Kind.NEGATIVE, Kind.LONG, Kind.RAW, Kind.SYNTHETIC, Kind.LONG]
SCALE, KEPT, WEIGHT, WIDTH = 3.0, 2, 0.7, 4
Rows = list[list[float]]


def _unit(a: list[float]) -> list[float]:
    return [v / math.hypot(*a) for v in a]


def _dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def _main(x: Rows) -> Rows:
    """Each row as its mean and first components have it."""
    mean = [sum(column) / len(x) for column in zip(*x, strict=True)]
    around = [[v - m for v, m in zip(row, mean, strict=True)] for row in x]
    axes = np.linalg.svd(np.array(around))[2][:KEPT].tolist()
    return [[m + sum(_dot(row, a) * a[k] for a in axes) for k, m in enumerate(mean)] for row in around]


def _cost(scores: list[float], right: list[bool]) -> float:
    """InfoNCE of a row with one true column or more, which share the target."""
    every = math.log(sum(math.exp(s) for s in scores))
    true = [s for s, r in zip(scores, right, strict=True) if r]
    return sum(every - s for s in true) / len(true)


def _term(x: Rows, y: Rows, texts: list[int]) -> float:
    asking = [j for j in texts if KIND[j] != Kind.NEGATIVE]
    told = sorted({OWNER[j] for j in asking})
    there = [
        _cost([SCALE * _dot(x[i], y[j]) for j in texts], [j in asking and OWNER[j] == i for j in texts]) for i in told
    ]
    back = [_cost([SCALE * _dot(x[i], y[j]) for i in range(6)], [OWNER[j] == i for i in range(6)]) for j in asking]
    return (sum(there) / len(there) + sum(back) / len(back)) / 2


def _loss(images: Rows, texts: Rows) -> float:
    x, y = [_unit(v) for v in images], [_unit(v) for v in texts]
    long = [j for j, kind in enumerate(KIND) if kind == Kind.LONG]
    return _term(x, y, long) + WEIGHT * _term(_main(x), y, [j for j in range(len(KIND)) if j not in long])


def _points() -> tuple[Tensor, Tensor]:
    torch.manual_seed(5)
    x, y = (torch.randn(n, WIDTH, dtype=torch.float64) for n in (6, len(OWNER)))
    return x.requires_grad_(), y.requires_grad_()


def _found(x: Tensor, y: Tensor, images: slice = slice(0, 6), texts: slice = slice(0, 9)) -> Tensor:
    owner = torch.tensor(OWNER[texts]) - images.start
    tokens = Tokens(torch.ones(len(owner), 2, dtype=torch.int64), torch.ones(len(owner), 2, dtype=torch.bool))
    captions = Captions(tokens, owner, torch.tensor([int(k) for k in KIND[texts]]))
    ids = torch.arange(6)[images]
    batch = Batch(torch.zeros(len(ids), 3, 4, 4, dtype=torch.uint8), captions, ids)
    outputs = Encoded(Features(x[images]), Features(y[texts]), x.new_tensor(SCALE), None)
    terms = LongClip(components=KEPT, short=WEIGHT).terms(outputs, batch)
    assert set(terms) == {"long", "short"}
    return terms["long"] + terms["short"]


def test_oracle() -> None:
    x, y = _points()
    found = _found(x, y)
    images, texts = x.tolist(), y.tolist()
    assert found.item() == pytest.approx(_loss(images, texts), abs=1e-10)
    gradients = torch.autograd.grad(found, [x, y])
    for rows, gradient in zip((images, texts), gradients, strict=True):
        for i in range(len(rows)):
            for k in range(WIDTH):
                kept, values = rows[i][k], []
                for step in (1e-6, -1e-6):
                    rows[i][k] = kept + step
                    values.append(_loss(images, texts))
                rows[i][k] = kept
                assert float(gradient[i, k]) == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-6)


def _part(rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """One process has images without a long text, or without a short one, that the other has."""
    x, y = _points()
    value = _found(x, y, *((slice(0, 2), slice(0, 3)), (slice(2, 6), slice(3, 9)))[rank])
    value.backward()
    assert x.grad is not None and y.grad is not None
    return value.detach(), x.grad, y.grad


def test_two_processes_are_one() -> None:
    parts = run(_part, 2)
    x, y = _points()
    value = _found(x, y)
    value.backward()
    assert sum(p[0] for p in parts) / 2 == pytest.approx(value.item(), abs=1e-10)
    for i, gradient in enumerate((x.grad, y.grad)):
        torch.testing.assert_close(sum(p[i + 1] for p in parts) / 2, gradient)


def test_a_batch_of_one_kind_has_one_term() -> None:
    x, y = _points()
    owner = torch.arange(6)
    tokens = Tokens(torch.ones(6, 2, dtype=torch.int64), torch.ones(6, 2, dtype=torch.bool))
    batch = Batch(torch.zeros(6, 3, 4, 4, dtype=torch.uint8), Captions(tokens, owner, 0 * owner), owner)
    outputs = Encoded(Features(x), Features(y[:6]), x.new_tensor(SCALE), None)
    terms: Any = LongClip().terms(outputs, batch)
    assert terms["long"].item() == 0 and terms["short"].item() > 0
    scores = SCALE * torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(y[:6]).T
    wanted = torch.nn.functional.cross_entropy(scores, owner) + torch.nn.functional.cross_entropy(scores.T, owner)
    torch.testing.assert_close(terms["short"], wanted / 2, msg="with all components an image is itself")


def test_a_trained_model_is_lengthened_and_keeps_what_it_says_of_short_texts() -> None:
    trained = model()
    short = [text for text in TEXTS if trained.tokenizer([text]).ids.shape[1] <= 20]
    before, long = trained.encode_text(short), "a red circle " * 30
    LongClip(context=50).begin(trained, ())
    assert trained.tokenizer.context == 50 and trained.tokenizer([long]).ids.shape[1] == 50
    assert trained.encode_text([long]).shape == (1, 12)
    assert trained.encode_text(short) == pytest.approx(before, abs=1e-6)
    tower = trained.text
    LongClip(context=50).begin(trained, ())
    assert trained.text is tower, "which is long enough already"
    with pytest.raises(DataError, match="LongClipText has no positions that could be resized to 60 tokens"):
        LongClip(context=60).begin(trained, ())
    adapted = model()
    add_lora(adapted, rank=2)
    with pytest.raises(DataError, match="give another --tune than lora"):
        LongClip(context=50).begin(adapted, ())


def test_a_training_goes_on_with_a_longer_text_tower(tmp_path: Path) -> None:
    source = replace(scenes(PARAGRAPHS), count=32)
    recipe = Recipe("long_clip(context=70)", augment=UNTURNED, steps=2, batch=8, captions_per_image=2)
    trained = Trained("small", model())
    begun = recipe.resolved(32, False, trained)
    run_ = fit([source], survey([source], decode), tmp_path / "run", begun, {}, workers=0, trained=trained)
    made, again = run_.model, load(tmp_path / "run")
    long = next(c.text for c in source[0].captions if c.kind == Kind.LONG)
    assert made.tokenizer.context == again.tokenizer.context == 70 and type(again.text).__name__ == "LongClipText"
    assert again.tokenizer([long]).ids.shape[1] > 32
    assert made.encode_text([long]) == pytest.approx(again.encode_text([long]), abs=1e-6)


PARAGRAPHS = World(Sampler((2, 2), LEARNABLE), telling=Telling(("short", "long")))
"""Two things by colour and shape, and in a paragraph of up to 64 tokens by size, texture, place and relation too."""

CLAIM = Claim(  # from random weights there are no positions worth stretching: the model's context is long enough
    says="Short captions that meet the main components alone leave paragraphs found better than they do in one loss.",
    method=replace(RECIPE, objective="long_clip(context=64)", captions_per_image=2),
    baseline=replace(RECIPE, objective="infonce", captions_per_image=2),
    train=scenes(PARAGRAPHS),
    benchmark=RetrievalBenchmark(held_out(PARAGRAPHS), kinds=(Kind.LONG,)),
    metric="mean_recall",
)
