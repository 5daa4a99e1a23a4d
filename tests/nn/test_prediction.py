"""Heads that predict one another, against torch's own layers."""

import torch
from torch import nn

from dovetail.nn.prediction import Predicting, mistaken


def test_a_side_is_two_perceptrons_normalised_over_the_batch() -> None:
    side = Predicting(5, 7, 4).double()
    x = torch.randn(9, 5, dtype=torch.float64)
    v, p = side(x)
    linear = [m for m in side.modules() if isinstance(m, nn.Linear)]
    batch_norm = [nn.BatchNorm1d(n).double() for n in (7, 4, 7)]
    wanted = batch_norm[1](linear[1](batch_norm[0](linear[0](x)).relu()))
    torch.testing.assert_close(v, wanted)
    torch.testing.assert_close(p, linear[3](batch_norm[2](linear[2](wanted)).relu()))


def test_a_prediction_costs_its_squared_distance_on_the_sphere_and_only_the_predictor_learns() -> None:
    p, v = (torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    found = mistaken(p, v)
    for i in range(3):
        torch.testing.assert_close(found[i], (p[i] / p[i].norm() - v[i] / v[i].norm()).square().sum())
    found.sum().backward()
    assert p.grad is not None and v.grad is None
