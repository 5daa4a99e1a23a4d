"""Every pair loss with every similarity on the contrast engine: in blocks, in processes, with several positives."""

from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from dovetail.contracts import Features, PairLoss, Similarity
from dovetail.ops import walk
from dovetail.ops.contrast import contrast, row_losses
from dovetail.ops.sides import Pairs, Side, Targets, same_ids
from dovetail.ops.similarity import compare
from tests.contracts.samples import features, objects
from tests.processes import run

CLOSE = {"rtol": 1e-6, "atol": 1e-8}
WHOLE = 1 << 24  # entries of a tile, or of a matrix that is kept, that no case has
FEW = {False: 7, True: 140}  # entries of a tile of a few pairs; with tokens a pair has twenty


def _combinations() -> list[tuple[Any, Any]]:
    return list(product(objects(PairLoss), objects(Similarity)))


COMBINATIONS = pytest.mark.parametrize(
    "loss, similarity",
    [pytest.param(a, b, id=f"{type(a).__name__}-{type(b).__name__}") for a, b in _combinations()],
)


@dataclass(frozen=True)
class Case:
    """Both sides of a batch."""

    left: Side
    right: Side
    targets: Targets = same_ids


def _case(name: str) -> Case:
    """Six images and nine captions: how they belong together depends on the name."""
    torch.manual_seed(len(name))
    left, right = torch.arange(6), torch.tensor([0, 0, 1, 2, 2, 2, 3, 4, 5])
    rows, cols = torch.ones(6, dtype=torch.float64), torch.ones(9, dtype=torch.float64)
    if name == "equal ids":
        left, right = torch.tensor([7, 1, 2, 7, 7, 5]), torch.tensor([7, 7, 1, 2, 2, 2, 7, 7, 5])
    if name == "weights":
        rows, cols = torch.rand(6, dtype=torch.float64), torch.rand(9, dtype=torch.float64)
        rows[1], cols[4] = 0, 0
    if name == "hard negatives":
        right = torch.tensor([0, -1, 1, 2, -2, 2, 3, -3, 5])  # captions of no image, and image 4 without a caption
        cols = (right >= 0).double()
    facts = (torch.rand(n, 3, dtype=torch.float64).round(decimals=1) for n in (6, 9))
    left_side, right_side = (
        Side(features(len(ids), n=n, width=16), ids, weights, f)
        for ids, weights, n, f in zip((left, right), (rows, cols), (4, 5), facts, strict=True)
    )
    return Case(left_side, right_side, _overlap if name == "soft targets" else same_ids)


def _overlap(rows: Side, cols: Side) -> Pairs | None:
    """Soft targets of three groups, that things belong to more or less; some belong to none."""
    assert rows.facts is not None and cols.facts is not None
    return Pairs.of((rows.facts @ cols.facts.T - 0.4).clamp_min(0))


NAMES = ("several captions", "equal ids", "weights", "hard negatives", "soft targets")
CASES = pytest.mark.parametrize("name", NAMES)
Outcome = tuple[Tensor, dict[str, Tensor]]


def _outcome(case: Case, loss: PairLoss, similarity: Similarity, tile: int) -> Outcome:
    """The engine's value and its gradients."""
    leaves = _leaves(case)
    left, right = _on(case.left, leaves, "left"), _on(case.right, leaves, "right")
    value = contrast(left, right, similarity, loss, leaves["scale"], leaves.get("bias"), case.targets, tile)
    value.backward()
    return value.detach(), {k: x.grad if x.grad is not None else torch.zeros_like(x) for k, x in leaves.items()}


def _leaves(case: Case) -> dict[str, Tensor]:
    found = {"scale": torch.tensor(3.0, dtype=torch.float64), "bias": torch.tensor(-1.0, dtype=torch.float64)}
    for name, side in (("left", case.left), ("right", case.right)):
        found |= {f"{name} pooled": side.features.pooled, f"{name} tokens": side.features.tokens}
    return {k: x.detach().clone().requires_grad_() for k, x in found.items()}


def _on(side: Side, leaves: dict[str, Tensor], name: str) -> Side:
    grid = (2, 2) if name == "left" else None  # pictures, for a similarity that tells them from texts
    f = Features(leaves[f"{name} pooled"], leaves[f"{name} tokens"], side.features.mask, grid)
    return Side(f, side.ids, side.weights, side.facts)


def _plain(case: Case, loss: PairLoss, similarity: Similarity) -> Outcome:
    """The engine's definition: whole matrices, one row after the other."""
    leaves = _leaves(case)
    left, right = _on(case.left, leaves, "left"), _on(case.right, leaves, "right")
    total = torch.zeros((), dtype=torch.float64)
    for rows, cols in ((left, right), (right, left)):
        scores = leaves["scale"] * compare(similarity, rows.features, cols.features) + leaves["bias"]
        targets = torch.zeros_like(scores)
        for i, j in product(range(len(rows.ids)), range(len(cols.ids))):
            found = case.targets(rows.part(i, i + 1), cols.part(j, j + 1))
            targets[i, j] = 0.0 if found is None else float(found.targets)
        losses = [row_losses(loss, scores[i : i + 1], targets[i : i + 1])[0] * w for i, w in enumerate(rows.weights)]
        total = total + torch.stack(losses).sum() / rows.weights.sum()
    (total / 2).backward()
    return (total / 2).detach(), {k: x.grad if x.grad is not None else torch.zeros_like(x) for k, x in leaves.items()}


@COMBINATIONS
@CASES
def test_in_tiles_as_whole(loss: PairLoss, similarity: Similarity, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = _plain(_case(name), loss, similarity)
    some, more = FEW[similarity.tokens], 3 * FEW[similarity.tokens]
    for kept, tile in ((0, 1), (0, some), (WHOLE, some), (0, more), (WHOLE, more), (0, WHOLE), (WHOLE, WHOLE)):
        monkeypatch.setattr(walk, "KEPT", kept)
        _same(_outcome(_case(name), loss, similarity, tile), expected)


@COMBINATIONS
def test_weightless_rows_ask_nothing_but_answer(loss: PairLoss, similarity: Similarity) -> None:
    """A caption of weight 0 has no row of its own, and is a column in the rows of all images."""
    case = _case("hard negatives")
    less = Side(_some(case.right.features, case.right.ids >= 0), case.right.ids[case.right.ids >= 0], torch.ones(6))
    value, gradients = _outcome(case, loss, similarity, WHOLE)
    assert gradients["right pooled"].isfinite().all()
    without, _ = _outcome(
        Case(case.left, Side(less.features, less.ids, less.weights.double())), loss, similarity, WHOLE
    )
    assert value > without, "hard negatives make the images' questions harder"


def _some(f: Features, index: Tensor) -> Features:
    assert f.tokens is not None and f.mask is not None
    return Features(f.pooled[index], f.tokens[index], f.mask[index])


@pytest.mark.parametrize(
    "processes, names, tile",
    [
        (2, NAMES, "few"),
        (3, ("equal ids", "soft targets"), "whole"),
        *(pytest.param(n, NAMES, tile, marks=pytest.mark.slow) for n, tile in product((2, 3), ("one", "few", "whole"))),
    ],
)
def test_many_processes_as_one(processes: int, names: tuple[str, ...], tile: str) -> None:
    """The mean of the values, and of the gradients as DistributedDataParallel averages them, is that of one process;
    of three the first has nothing."""
    parts = run(_parts, processes, processes, names, tile)
    runs = [(n, c) for n in names for c in _combinations()]
    assert runs and all(len(p) == len(runs) for p in parts)
    for i, (name, (loss, similarity)) in enumerate(runs):
        joined: dict[str, Tensor] = {}
        for leaf in parts[0][i][1]:
            pieces = [p[i][1][leaf] for p in parts]
            joined[leaf] = sum(pieces) / processes if leaf in ("scale", "bias") else torch.cat(pieces) / processes
        value = sum(p[i][0] for p in parts) / processes
        try:
            _same((value, joined), _plain(_case(name), loss, similarity))
        except AssertionError as error:
            what = f"{name}, {type(loss).__name__}, {type(similarity).__name__}, {processes} processes"
            raise AssertionError(what) from error


def _parts(rank: int, processes: int, names: tuple[str, ...], tile: str) -> list[Outcome]:
    """What one process finds; the parts of the batch differ in size."""
    ends = {2: ((0, 2, 6), (0, 6, 9)), 3: ((0, 0, 5, 6), (0, 0, 4, 9))}[processes]
    found = []
    for name in names:
        case = _case(name)
        parts = zip((case.left, case.right), ends, strict=True)
        mine = Case(*(side.part(end[rank], end[rank + 1]) for side, end in parts), case.targets)
        for loss, similarity in _combinations():
            entries = {"one": 1, "few": FEW[similarity.tokens], "whole": WHOLE}[tile]
            found.append(_outcome(mine, loss, similarity, entries))
    return found


def _same(found: Outcome, expected: Outcome) -> None:
    torch.testing.assert_close(found[0], expected[0], **CLOSE)
    assert found[1].keys() == expected[1].keys()
    for key, gradient in expected[1].items():
        torch.testing.assert_close(found[1][key], gradient, **CLOSE, msg=lambda m, key=key: f"gradient of {key}: {m}")
