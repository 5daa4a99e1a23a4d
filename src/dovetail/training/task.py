"""A model and what is minimised, as one module: the thing that is distributed and optimised."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from torch import Tensor, nn

from dovetail.contracts import Batch
from dovetail.models.dual_encoder import DualEncoder

T = TypeVar("T")


class Task(nn.Module):
    """`forward(work)` does a piece of work on the task, inside whatever wraps it.

    DistributedDataParallel, FSDP2 and Accelerate act around a module's forward: only what runs in there has the
    gathered parameters, the precision, and gradients that are exchanged.
    """

    def __init__(self, model: DualEncoder, objective: nn.Module):
        super().__init__()
        self.model = model
        self.objective: Any = objective  # an Objective that is a module; no type says both

    def forward(self, work: Callable[["Task"], T]) -> T:
        return work(self)

    def terms(self, batch: Batch) -> Mapping[str, Tensor]:
        """The objective's terms on a batch, by name."""
        terms: Mapping[str, Tensor] = self.objective.terms(self.objective.encode(self.model, batch), batch)
        return terms
