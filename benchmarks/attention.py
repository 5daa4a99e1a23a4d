"""Why attention on a CPU is two plain products: forward and backward against torch's fused kernel.

python benchmarks/attention.py
"""

import statistics
import time
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from dovetail.ops.attention import attend

ROUNDS = 9
SHAPES = ((128, 49, 4), (256, 24, 4), (32, 196, 6))  # items, tokens, heads


def main() -> None:
    torch.manual_seed(0)
    for dtype, (items, tokens, heads) in product((torch.bfloat16, torch.float32), SHAPES):
        taken: dict[str, list[float]] = {"plain": [], "fused": []}
        parts = [torch.randn(items, heads, tokens, 64, dtype=dtype, requires_grad=True) for _ in range(3)]
        for _ in range(ROUNDS):  # interleaved, so that other load falls on both
            taken["plain"].append(seconds(attend, parts))
            taken["fused"].append(seconds(F.scaled_dot_product_attention, parts))
        plain, fused = (statistics.median(taken[k][1:]) for k in ("plain", "fused"))
        told = f"{1e3 * plain:.1f} ms plain, {1e3 * fused:.1f} ms fused: {fused / plain:.1f} x"
        print(f"{str(dtype).removeprefix('torch.')}, {items} items, {tokens} tokens, {heads} heads: {told}")


def seconds(function: Callable[..., Tensor], parts: list[Tensor]) -> float:
    """One forward and backward pass."""
    started = time.perf_counter()
    out = function(*parts)
    out.backward(torch.ones_like(out))
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
