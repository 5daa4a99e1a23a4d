"""The checker of types and shapes that conftest puts around every function of the package."""

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep673Exception, BeartypeDecorHintPep3119Exception

_CONF = BeartypeConf(is_pep484_tower=True)  # an int will do for a float, as in Python's own rules


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """beartype, but for functions with a hint it cannot check from here: `Self`, a Protocol for type checkers only."""
    try:
        return beartype(conf=_CONF)(function)
    except (BeartypeDecorHintPep673Exception, BeartypeDecorHintPep3119Exception):
        return function
