"""Every Objective with its towers run in pieces: the gradients are those of the whole batch."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from dovetail import catalogue
from dovetail.catalogue import Entry
from dovetail.contracts import Batch, Features, Objective
from dovetail.models.dual_encoder import DualEncoder
from dovetail.training.gradient_cache import GradientCache, WholeBatch
from dovetail.training.loop import accelerator
from dovetail.training.pieces import by_owner, cut, join
from dovetail.training.settings import Settings
from dovetail.training.sharding import prepared
from dovetail.training.task import Task
from tests.contracts.samples import Make, batch, begun, normalised, part, samples, shuffled
from tests.processes import run

CLOSE = {"rtol": 1e-6, "atol": 1e-9}
Gradients = dict[str, Tensor]
Terms = Callable[[Task, Batch], Mapping[str, Tensor]]


class BestTokens:
    """For each token of a row its best match in the column, on average over the real tokens."""

    symmetric, tokens = False, True

    def prepare(self, features: Features) -> Features:
        return features

    def scores(self, rows: Features, cols: Features) -> Tensor:
        assert rows.tokens is not None and cols.tokens is not None
        scores = torch.einsum("rnd,cmd->rcnm", rows.tokens, cols.tokens)
        if cols.mask is not None:
            scores = scores.masked_fill(~cols.mask[None, :, None, :], -1e9)
        real = rows.tokens.new_ones(rows.tokens.shape[:2]) if rows.mask is None else rows.mask.to(rows.tokens)
        return (scores.amax(3) * real[:, None]).sum(2) / real.sum(1)[:, None]


class Weighted(nn.Module):
    """Another objective's terms, weighed by layers that no tower sees."""

    requires = ()

    def __init__(self, inner: Any):
        super().__init__()
        self.inner, self.start = inner, nn.Parameter(torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64))
        layers = [nn.Sequential(nn.Linear(3, 3, dtype=torch.float64), nn.Tanh()) for _ in range(2)]
        self.layers = nn.Sequential(*layers)
        self.loss, self.similarity = getattr(inner, "loss", None), getattr(inner, "similarity", None)

    def encode(self, model: DualEncoder, batch: Batch) -> Any:
        return {"inner": self.inner.encode(model, batch), "pair": (model.scale, None)}

    def terms(self, outputs: Any, batch: Batch) -> Mapping[str, Tensor]:
        found = self.inner.terms(outputs["inner"], batch)
        weight = self.layers(self.start).sum()
        return {**{k: v * weight.exp() for k, v in found.items()}, "weight": weight**2 * outputs["pair"][0]}


def _over_tokens() -> list[Make]:
    """The objectives that take a similarity, with one of tokens."""
    found = [e for e in catalogue.entries(Objective) if "similarity" in e.options]
    return [partial(_of_tokens, e) for e in found]


def _of_tokens(entry: Entry) -> Any:
    return entry.make(similarity=BestTokens())


def _weighted() -> Any:
    return Weighted(catalogue.entries(Objective)[0].make())


ALL = samples(Objective) + [pytest.param(m, id=f"tokens-{i}") for i, m in enumerate(_over_tokens())]
OBJECTIVES = pytest.mark.parametrize("make", [*ALL, pytest.param(_weighted, id="weighted")])
ENGINE = Settings(precision="fp32")


def _task(make: Make, dropout: float) -> Task:
    """A model in double precision that drops pixels' and words' features, and nothing else; the same for every call."""
    torch.manual_seed(0)
    objective = make()
    model = begun(objective).double().train()
    for module in (*model.modules(), *objective.modules()):
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if hasattr(module, "attention_probs_dropout_prob"):
            module.attention_probs_dropout_prob = 0.0
    for name in [n for n, _ in model.named_children() if n.endswith("projection")]:
        setattr(model, name, nn.Sequential(nn.Dropout(dropout), getattr(model, name)))
    return Task(model, objective.double())


def _batch(task: Task) -> Batch:
    """Five images with one to three captions each, some of them hard negatives, in no order; so what else there is."""
    torch.manual_seed(1)
    data = shuffled(normalised(batch(task.objective), task.model.preprocessing), torch.arange(5))
    return replace(data, weights=torch.rand(5, dtype=torch.float64))


def _gradients(task: Task) -> Gradients:
    found = {name: p.grad for name, p in task.named_parameters() if p.requires_grad}
    assert all(g is not None for g in found.values())
    return {
        name: g.full_tensor() if isinstance(g, DTensor) else g.clone() for name, g in found.items() if g is not None
    }


def _plainly(make: Make, dropout: float, terms: Terms) -> tuple[float, Gradients]:
    """One graph over everything and one backward pass."""
    task = _task(make, dropout)
    data = _batch(task)
    torch.manual_seed(2)
    loss = torch.stack(list(terms(task, data).values())).sum()
    loss.backward()
    return float(loss.detach()), _gradients(task)


def _cached(make: Make, dropout: float, size: int) -> tuple[float, Gradients]:
    task = _task(make, dropout)
    data = _batch(task)
    torch.manual_seed(2)
    loss = GradientCache(WholeBatch(task, accelerator(ENGINE)), size)(data.to("cpu"), 1, True)
    return float(loss), _gradients(task)


def _same(found: tuple[float, Gradients], expected: tuple[float, Gradients]) -> None:
    assert found[0] == pytest.approx(expected[0], rel=1e-6)
    assert found[1].keys() == expected[1].keys()
    for name, gradient in found[1].items():
        torch.testing.assert_close(gradient, expected[1][name], **CLOSE, msg=lambda m, name=name: f"{name}: {m}")


@OBJECTIVES
def test_the_gradients_are_those_of_the_whole_batch(make: Make) -> None:
    expected = _plainly(make, 0.0, Task.terms)
    for size in (1, 2, 3, 5):
        _same(_cached(make, 0.0, size), expected)


@OBJECTIVES
@pytest.mark.parametrize("size", [1, 2])
def test_with_dropout_they_are_those_of_one_graph_over_all_pieces(make: Make, size: int) -> None:
    def in_one_graph(task: Task, data: Batch) -> Mapping[str, Tensor]:
        ordered = by_owner(data)
        outputs = [task.objective.encode(task.model, piece) for piece in cut(ordered, -(-5 // size))]
        found: Mapping[str, Tensor] = task.objective.terms(join(outputs), ordered)
        return found

    expected = _plainly(make, 0.4, in_one_graph)
    _same(_cached(make, 0.4, size), expected)
    if any("projection" in name for name in expected[1]):  # else nothing that is dropped is used
        assert _cached(make, 0.0, size)[0] != expected[0], "there was dropout"


@OBJECTIVES
def test_in_half_precision_they_are_nearly_those_of_the_whole_batch(make: Make) -> None:
    def single(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value._each(single)
        return value.float() if value.is_floating_point() else value

    def gradients(size: int) -> Gradients:
        task = _task(make, 0.0).float()
        engine = accelerator(Settings(precision="bf16"))
        data = replace(_batch(task)._each(single), weights=None)
        GradientCache(WholeBatch(engine.prepare(task), engine), size)(data, 1, True)
        return _gradients(task)

    whole, pieces = gradients(5), gradients(2)
    for name, gradient in pieces.items():
        assert gradient.dtype == torch.float32
        error = (gradient - whole[name]).norm() / whole[name].norm().clamp_min(1e-3)
        assert error < 0.05, name


def _shares(rank: int, processes: int, makes: list[Make], shard: bool) -> list[tuple[float, Gradients]]:
    """Objectives in pieces, on this process's share of the batch."""
    os.environ.update({"RANK": str(rank), "LOCAL_RANK": str(rank)})
    os.environ.update({"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)})
    engine: Accelerator = accelerator(ENGINE)
    found = []
    for make in makes:
        task = _task(make, 0.0)
        ends = torch.linspace(0, 5, processes + 1).round().int().tolist()
        mine = part(by_owner(replace(_batch(task), weights=None)), ends[rank], ends[rank + 1])
        module = prepared(task, engine, shard)
        loss = GradientCache(WholeBatch(module, engine), 1)(mine, 1, True)
        found.append((float(loss), _gradients(task)))
    return found


@pytest.mark.parametrize(
    ("makes", "shard"),
    [
        pytest.param([*(p.values[0] for p in ALL if not p.marks), _weighted], False, id="copies"),
        pytest.param([_weighted], True, id="sharded"),
    ],
)
def test_two_processes_with_pieces_are_one_without(makes: list[Make], shard: bool) -> None:
    """Three images in one and two in the other, a piece each."""

    def terms(task: Task, data: Batch) -> Mapping[str, Tensor]:
        return task.terms(replace(data, weights=None))

    shares = run(_shares, 2, 2, makes, shard)
    for make, (first, gradients), (second, others) in zip(makes, *shares, strict=True):
        one = _plainly(make, 0.0, terms)
        _same(((first + second) / 2, gradients), one)
        _same(((first + second) / 2, others), one)
