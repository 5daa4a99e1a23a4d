"""The checker of types and shapes that conftest puts around every function of the package."""

from collections.abc import Callable
from typing import Any

from beartype import beartype
from beartype.roar import BeartypeDecorHintPep673Exception, BeartypeDecorHintPep3119Exception


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """beartype, but for functions with a hint it cannot check from here: `Self`, a Protocol for type checkers only."""
    try:
        return beartype(function)
    except (BeartypeDecorHintPep673Exception, BeartypeDecorHintPep3119Exception):
        return function
