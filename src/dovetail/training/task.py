"""A model and what is minimised, as one module: the thing that is distributed and optimised."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from dovetail.contracts import Batch
from dovetail.models.dual_encoder import DualEncoder


class Task(nn.Module):
    """`forward(batch)` gives the objective's terms, by name."""

    def __init__(self, model: DualEncoder, objective: nn.Module):
        super().__init__()
        self.model = model
        self.objective: Any = objective  # an Objective that is a module; no type says both

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        terms: Mapping[str, Tensor] = self.objective.terms(self.objective.encode(self.model, batch), batch)
        return terms
