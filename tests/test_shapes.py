"""The net under all tests holds: a wrong shape raises, in functions and in the package itself."""

import pytest
import torch
from jaxtyping import Float, TypeCheckError, jaxtyped
from torch import Tensor

from dovetail.contracts import Features, Tokens
from dovetail.ops.similarity import cosine
from tests.shapes import check


def test_a_wrong_shape_in_the_package_raises() -> None:
    assert cosine(torch.ones(2, 3), torch.ones(4, 3)).shape == (2, 4)
    with pytest.raises(TypeCheckError):
        cosine(torch.ones(2, 3), torch.ones(4, 5))


def test_a_wrong_field_of_a_record_raises() -> None:
    Features(torch.ones(2, 3))
    with pytest.raises(TypeCheckError):
        Features(torch.ones(2))
    with pytest.raises(TypeCheckError):
        Tokens(torch.ones(2, 3), torch.ones(2, 3, dtype=torch.bool))


def test_the_checker_checks() -> None:
    @jaxtyped(typechecker=check)
    def first(x: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
        return x[:, 0] if x.shape[1] > 1 else x

    assert first(torch.ones(2, 3)).shape == (2,)
    with pytest.raises(TypeCheckError):
        first(torch.ones(2, 1))
