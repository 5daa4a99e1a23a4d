"""Plain similarities against loops."""

import math

import pytest
import torch

from dovetail.ops.similarity import cosine, normalize


def test_normalize_gives_unit_length_and_leaves_zero_alone() -> None:
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0], [-1e-3, 0.0]])
    torch.testing.assert_close(normalize(x), torch.tensor([[0.6, 0.8], [0.0, 0.0], [-1.0, 0.0]]))


def test_normalize_works_along_the_last_axis_whatever_comes_before() -> None:
    x = torch.randn(2, 3, 4)
    torch.testing.assert_close(normalize(x)[1, 2], normalize(x[1, 2][None])[0])
    torch.testing.assert_close(normalize(x).norm(dim=-1), torch.ones(2, 3))


def test_cosine_equals_its_definition() -> None:
    a, b = torch.randn(3, 5, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
    found = cosine(a, b)
    assert found.shape == (3, 4)
    for i, x in enumerate(a.tolist()):
        for j, y in enumerate(b.tolist()):
            product = sum(p * q for p, q in zip(x, y, strict=True))
            assert float(found[i, j]) == pytest.approx(product / (math.hypot(*x) * math.hypot(*y)), abs=1e-12)
