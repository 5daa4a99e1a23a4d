"""The running mean of the weights."""

import torch
from torch import nn

from dovetail.training.ema import EMA


class _Module(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(2, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))


def test_equals_the_sum_written_out() -> None:
    module = _Module()
    ema = EMA(module, decay=0.6)
    expected_weight, expected_mean = [0.0, 0.0, 0.0], [0.0, 0.0]
    for step in range(1, 30):
        weight, mean = [step * 1.5, -float(step), 2.0], [float(step) ** 2, 1.0 / step]
        module.weight.data = torch.tensor(weight, dtype=torch.float64)
        module.mean.copy_(torch.tensor(mean))
        module.count.fill_(step)
        ema.update(module, step)
        d = min(0.6, (1 + step) / (10 + step))
        expected_weight = [d * m + (1 - d) * w for m, w in zip(expected_weight, weight, strict=True)]
        expected_mean = [d * m + (1 - d) * float(torch.tensor(w)) for m, w in zip(expected_mean, mean, strict=True)]
    torch.testing.assert_close(ema.average["weight"], torch.tensor(expected_weight, dtype=torch.float64))
    torch.testing.assert_close(ema.average["mean"], torch.tensor(expected_mean, dtype=torch.float64))
    assert ema.average["count"] == 29  # what is no real number is taken over


def test_is_a_copy_that_nothing_trains() -> None:
    module = _Module().train()
    ema = EMA(module, decay=0.9)
    assert not ema.average["weight"].requires_grad
    with torch.no_grad():
        module.weight += 1
    assert not ema.average["weight"].any()
    assert module.training and module.weight.requires_grad
