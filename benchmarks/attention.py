"""Why attention on a CPU is two plain products: forward and backward against torch's fused kernel, in bfloat16.

python benchmarks/attention.py
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from dovetail.ops.attention import attend

ROUNDS = 9


def main() -> None:
    torch.manual_seed(0)
    for items, tokens, heads in ((128, 49, 4), (256, 24, 4), (32, 196, 6)):
        taken: dict[str, list[float]] = {"plain": [], "fused": []}
        parts = [torch.randn(items, heads, tokens, 64, dtype=torch.bfloat16, requires_grad=True) for _ in range(3)]
        for _ in range(ROUNDS):  # interleaved, so that other load falls on both
            taken["plain"].append(seconds(attend, parts))
            taken["fused"].append(seconds(F.scaled_dot_product_attention, parts))
        plain, fused = (statistics.median(taken[k][1:]) for k in ("plain", "fused"))
        told = f"{1e3 * plain:.1f} ms plain, {1e3 * fused:.1f} ms fused: {fused / plain:.1f} x"
        print(f"{items} items, {tokens} tokens, {heads} heads: {told}")


def seconds(function: Callable[..., Tensor], parts: list[Tensor]) -> float:
    """One forward and backward pass."""
    started = time.perf_counter()
    out = function(*parts)
    out.backward(torch.ones_like(out))
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
