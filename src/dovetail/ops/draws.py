"""Random choices that an item's number decides, not its place: the same in any order, piece or process.

The numbers are mixed as in Steele et al., "Fast Splittable Pseudorandom Number Generators", 2014 (SplitMix64).
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

GOLDEN, FIRST, SECOND = -0x61C8864680B583EB, -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15  # as signed numbers of 64 bits


def draws(keys: Int[Tensor, " b"], n: int, salt: int) -> Int[Tensor, "b n"]:
    """n random integers for each key; others for another salt."""
    rows = mixed(keys + mixed(torch.tensor(salt, device=keys.device)))
    return mixed(rows[:, None] + GOLDEN * torch.arange(1, n + 1, device=keys.device))


def chosen(keys: Int[Tensor, " b"], n: int, count: int, salt: int) -> Bool[Tensor, "b n"]:
    """For each key `count` of n places."""
    least = draws(keys, n, salt).argsort(1)[:, :count]
    return torch.zeros(len(keys), n, dtype=torch.bool, device=keys.device).scatter(1, least, True)


def mixed(x: Int[Tensor, "*n"]) -> Int[Tensor, "*n"]:
    """Integers of 64 bits to others that look like random ones, each to its own."""
    x = (x ^ _shifted(x, 30)) * FIRST
    x = (x ^ _shifted(x, 27)) * SECOND
    return x ^ _shifted(x, 31)


def _shifted(x: Int[Tensor, "*n"], bits: int) -> Int[Tensor, "*n"]:
    """To the right, zeros from the left: torch would repeat the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
