"""Principal components against numpy's singular vectors, and their gradients against differences."""

import numpy as np
import pytest
import torch

from dovetail.ops.principal import projection, reconstructed


@pytest.mark.parametrize("count", [1, 3, 5])
def test_reconstructs_as_the_singular_vectors_do(count: int) -> None:
    every, x = torch.randn(9, 5, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
    mean = every.numpy().mean(0)
    kept = np.linalg.svd(every.numpy() - mean)[2][:count]
    wanted = mean + sum(np.outer((x.numpy() - mean) @ v, v) for v in kept)
    np.testing.assert_allclose(reconstructed(x, every, count).numpy(), wanted, atol=1e-12)


@pytest.mark.parametrize(("n", "count"), [(9, 2), (3, 1), (3, 2), (3, 4), (9, 5), (9, 7)])
def test_the_gradient_is_that_of_the_value(n: int, count: int) -> None:
    """With fewer vectors than dimensions too, where many eigenvalues are 0, and with all components or more."""
    every = torch.randn(n, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: reconstructed(x, x, count), every)
    if count >= n - 1:
        torch.testing.assert_close(reconstructed(every, every, count), every)


def test_equal_eigenvalues_have_a_gradient_where_the_choice_is_clear_and_none_where_not() -> None:
    diagonal = torch.diag(torch.tensor([3.0, 3.0, 1.0, 1.0], dtype=torch.float64)).requires_grad_()
    weights = torch.randn(4, 4, dtype=torch.float64)
    (projection(diagonal, 2) * weights).sum().backward()
    assert diagonal.grad is not None
    wanted = torch.zeros(4, 4, dtype=torch.float64)
    for i in (0, 1):
        for j in (2, 3):
            wanted[i, j] = wanted[j, i] = (weights[i, j] + weights[j, i]) / 2 / (3 - 1)
    torch.testing.assert_close(diagonal.grad, wanted)
    diagonal.grad = None
    projection(diagonal, 1).sum().backward()
    assert diagonal.grad is not None and diagonal.grad.isfinite().all()
    assert diagonal.grad[:2, :2].abs().max() == 0
