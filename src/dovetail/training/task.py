"""A model and what is minimised, as one module: the thing that is distributed and optimised."""

from collections.abc import Mapping

from torch import Tensor, nn

from dovetail.contracts import Batch
from dovetail.models.dual_encoder import DualEncoder


class Task(nn.Module):
    """`forward(batch)` gives the objective's terms, by name."""

    def __init__(self, model: DualEncoder, objective: nn.Module):
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        return self.objective.terms(self.objective.encode(self.model, batch), batch)
