"""What a walk holds in memory, and how often it makes a score."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from dovetail.contracts import Features
from dovetail.ops import walk
from dovetail.ops.contrast import contrast
from tests.ops.test_contrast import LearntMargin, Products, Squares, side


@pytest.mark.parametrize("loss", [Squares(), LearntMargin()], ids=["pairwise", "by rows"])
def test_no_more_scores_than_a_tile_are_held(loss: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    class Watched(Products):
        def scores(self, rows: Features, cols: Features) -> Tensor:
            sizes.append(len(rows.pooled) * len(cols.pooled))
            return super().scores(rows, cols)

    monkeypatch.setattr(walk, "KEPT", 0)
    left, right = (side(list(range(50)), [1.0] * 50, 2) for _ in range(2))
    left.features.pooled.requires_grad_()
    with _Largest() as largest:
        contrast(left, right, Watched(), loss, torch.tensor(1.0), tile=200).backward()
    rounds = 1 if loss.pairwise else 2  # the round of the positives sees few tiles of the whole
    assert max(sizes) <= 200 and rounds * 2500 <= sum(sizes) <= rounds * 2500 + 2500 / 2
    assert largest.numbers <= 200, "nothing as large as the matrix was made"


def test_a_small_matrix_is_made_once() -> None:
    sizes: list[int] = []

    class Watched(Products):
        def scores(self, rows: Features, cols: Features) -> Tensor:
            sizes.append(len(rows.pooled) * len(cols.pooled))
            return super().scores(rows, cols)

    left, right = (side(list(range(50)), [1.0] * 50, 2) for _ in range(2))
    left.features.pooled.requires_grad_()
    contrast(left, right, Watched(), LearntMargin(), torch.tensor(1.0), tile=200).backward()
    assert sum(sizes) == 2500


class _Largest(TorchDispatchMode):
    """The most numbers of any tensor that torch makes."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = function(*args, **(kwargs or {}))
        made = found if isinstance(found, tuple | list) else (found,)
        self.numbers = max([self.numbers, *(x.numel() for x in made if isinstance(x, Tensor))])
        return found
