"""New parameters that are the same in every process and in every run."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def repeatable(seed: int = 0) -> Iterator[None]:
    """What is drawn within on the CPU depends on the seed alone, and what is drawn afterwards does not depend on it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
