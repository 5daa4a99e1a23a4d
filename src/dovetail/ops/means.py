"""Means over what all processes hold, of which each has a part."""

import torch
from jaxtyping import Float
from torch import Tensor

from dovetail.ops.distributed import sum_over_processes, world_size


def weighted_mean(values: Float[Tensor, "*n"], weights: Float[Tensor, "*n"]) -> Float[Tensor, ""]:
    """This process's share of the weighted mean over all: the mean over processes of the shares is that mean, and so
    are the gradients. 0 where nothing has a weight. No gradient reaches the weights' sum."""
    every = sum_over_processes(weights.sum()).clamp_min(torch.finfo(weights.dtype).tiny)
    return (values * weights).sum() / every * world_size()
