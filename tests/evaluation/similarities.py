"""Ways of comparing, for tests."""

import torch
from torch import Tensor

from dovetail.contracts import Features


def features(pooled: Tensor) -> Features:
    return Features(pooled)


class Inner:
    """The inner product of pooled vectors."""

    symmetric = True
    tokens = False

    def prepare(self, features: Features) -> Features:
        return features

    def scores(self, rows: Features, cols: Features) -> Tensor:
        return rows.pooled @ cols.pooled.T


class LateInteraction:
    """Mean over a row's tokens of the best match among a column's tokens; real tokens only. Not symmetric."""

    symmetric = False
    tokens = True

    def __init__(self) -> None:
        self.largest = 0

    def prepare(self, features: Features) -> Features:
        return features

    def scores(self, rows: Features, cols: Features) -> Tensor:
        assert rows.tokens is not None and cols.tokens is not None and rows.mask is not None and cols.mask is not None
        pairs = torch.einsum("rnd,cmd->rcnm", rows.tokens, cols.tokens)
        self.largest = max(self.largest, pairs.numel())
        best = pairs.masked_fill(~cols.mask[None, :, None], -torch.inf).amax(3)
        real = rows.mask[:, None].float()
        return (best * real).sum(2) / real.sum(2)


class Watched(Inner):
    """The inner product, keeping count of the scores asked for."""

    def __init__(self) -> None:
        self.largest = self.total = 0

    def scores(self, rows: Features, cols: Features) -> Tensor:
        scores = super().scores(rows, cols)
        self.largest, self.total = max(self.largest, scores.numel()), self.total + scores.numel()
        return scores


inner = Inner()
