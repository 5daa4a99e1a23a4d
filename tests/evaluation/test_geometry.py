"""Gap, alignment and uniformity against plain loops and where their values are known."""

import math

import numpy as np
import pytest
import torch

from dovetail.evaluation.geometry import alignment, modality_gap, uniformity


def unit(x: torch.Tensor) -> np.ndarray:
    held = x.double().numpy()
    return held / np.sqrt((held**2).sum(1, keepdims=True))


def test_gap_is_the_distance_of_the_means() -> None:
    x, y = 3 * torch.randn(20, 5) + 1, torch.randn(31, 5)
    expected = math.dist(unit(x).mean(0), unit(y).mean(0))
    assert modality_gap(x, y) == pytest.approx(expected, rel=1e-6)
    assert modality_gap(x, 7 * x) == pytest.approx(0, abs=1e-6)
    assert modality_gap(torch.ones(4, 2), -torch.ones(3, 2)) == pytest.approx(2)


def test_alignment_is_the_mean_squared_distance_of_pairs() -> None:
    x, y = torch.randn(20, 5), torch.randn(20, 5)
    expected = np.mean([math.dist(a, b) ** 2 for a, b in zip(unit(x), unit(y), strict=True)])
    assert alignment(x, y) == pytest.approx(expected, rel=1e-6)
    assert alignment(x, 3 * x) == pytest.approx(0, abs=1e-6)
    assert alignment(x, -x) == pytest.approx(4)


@pytest.mark.parametrize("cells", [1, 25, 100, 1 << 23])
def test_uniformity_at_every_block_size(cells: int) -> None:
    x = torch.randn(25, 4)
    held = unit(x)
    pairs = [math.exp(-2 * math.dist(held[i], held[j]) ** 2) for i in range(25) for j in range(i)]
    assert uniformity(x, cells=cells) == pytest.approx(math.log(np.mean(pairs)), rel=1e-5)


def test_uniformity_where_it_is_known() -> None:
    assert uniformity(torch.ones(10, 3)) == pytest.approx(0, abs=1e-5)
    assert uniformity(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), t=1.0) == pytest.approx(-4)
    assert uniformity(torch.randn(500, 64)) < uniformity(torch.randn(500, 64) + 1)
    with pytest.raises(ValueError, match="at least two embeddings, there are 1"):
        uniformity(torch.ones(1, 3))
