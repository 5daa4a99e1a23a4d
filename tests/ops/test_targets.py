"""What targets say, entry by entry."""

import torch

from dovetail.contracts import RowFacts
from dovetail.ops.targets import negatives, shares

SCORES = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=torch.float64)
TARGETS = torch.tensor([[0.0, 0.25, 0.75], [0.0, 0.0, 0.0]], dtype=torch.float64)


def test_columns_with_a_target_are_no_negatives() -> None:
    found = negatives(SCORES, TARGETS)
    for i in range(2):
        for j in range(3):
            wanted = torch.finfo(torch.float64).min if TARGETS[i, j] > 0 else float(SCORES[i, j])
            assert float(found[i, j]) == wanted
    assert negatives(SCORES, None) is SCORES


def test_shares_sum_to_one_or_to_nothing() -> None:
    row = RowFacts(2 * TARGETS.sum(1, keepdim=True), ())  # as much again in other tiles
    found = shares(TARGETS, row)
    for i, whole in enumerate((2.0, 0.0)):
        for j in range(3):
            assert float(found[i, j]) == (float(TARGETS[i, j]) / whole if whole else 0.0)
