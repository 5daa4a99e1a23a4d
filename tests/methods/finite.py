"""Gradients by central differences, for oracles in plain loops."""

from collections.abc import Callable

import pytest
from torch import Tensor

Matrix = list[list[float]]


def same_slopes(defined: Callable[[], float], leaves: list[tuple[Matrix, Tensor]], step: float = 1e-6) -> None:
    """Every entry of each gradient is the slope of `defined` in the entry of the matrix that it is read from."""
    for rows, gradient in leaves:
        assert gradient.shape == (len(rows), len(rows[0]))
        for i, row in enumerate(rows):
            for k in range(len(row)):
                kept, ends = row[k], []
                for sign in (step, -step):
                    row[k] = kept + sign
                    ends.append(defined())
                row[k] = kept
                assert float(gradient[i, k]) == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-6)
