"""Time and memory of the loss alone, forward and backward, against open_clip and pytorch-metric-learning.

    python benchmarks/loss.py --out results/loss_cpu.json

All contenders get the same unit vectors in float32. Up to --together the time is the median over rounds, in each of
which every contender has its turn; for larger batches that of one pass in a process of its own. Memory: what a process
of its own needs at the most beyond what it held before. A contender that needs more than --gigabytes is out.
"""

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from measuring import alone, cost, save
from torch import Tensor
from torch.nn import functional as F

from dovetail.catalogue import build
from dovetail.contracts import Features
from dovetail.ops.contrast import contrast
from dovetail.ops.sides import Side

SCALE, BIAS = 14.0, -10.0
Loss = Callable[[Tensor, Tensor], Tensor]


def ours(name: str) -> Loss:
    """A pair loss of the catalogue on the contrast engine, with the cosine."""
    loss, cosine, scale = build(name), build("cosine"), torch.tensor(SCALE)
    bias = None if loss.initial_bias is None else torch.tensor(BIAS)

    def call(images: Tensor, texts: Tensor) -> Tensor:
        ids, weights = torch.arange(len(images)), torch.ones(len(images))
        left, right = (Side(Features(x), ids, weights) for x in (images, texts))
        return contrast(left, right, cosine, loss, scale, bias)

    return call


def clip() -> Loss:
    """open_clip's InfoNCE."""
    from open_clip.loss import ClipLoss

    loss = ClipLoss()
    return lambda images, texts: loss(images, texts, torch.tensor(SCALE))


def siglip() -> Loss:
    """open_clip's sigmoid loss."""
    from open_clip.loss import SigLipLoss

    loss = SigLipLoss()
    return lambda images, texts: loss(images, texts, torch.tensor(SCALE), torch.tensor(BIAS))


def ntxent() -> Loss:
    """pytorch-metric-learning's InfoNCE, both ways."""
    from pytorch_metric_learning.losses import NTXentLoss

    loss = NTXentLoss(temperature=1 / SCALE)

    def call(images: Tensor, texts: Tensor) -> Tensor:
        labels = torch.arange(len(images))
        there = loss(images, labels, ref_emb=texts, ref_labels=labels)
        return (there + loss(texts, labels, ref_emb=images, ref_labels=labels)) / 2

    return call


MAKE: dict[str, Callable[[], Loss]] = {
    "infonce, dovetail": lambda: ours("infonce"),
    "infonce, open_clip": clip,
    "infonce, pytorch-metric-learning": ntxent,
    "siglip, dovetail": lambda: ours("siglip"),
    "siglip, open_clip": siglip,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 4096, 8192, 16384, 32768, 65536])
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--together", type=int, default=8192, help="the largest batch that is timed in rounds")
    parser.add_argument("--gigabytes", type=float, default=16.0)
    parser.add_argument("--only", default="", help="measure the contenders whose names hold this")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    for size in options.sizes:
        rows += measure(size, options)
        print(f"batch {size:,} done", file=sys.stderr)
    found = {"threads": torch.get_num_threads(), "gigabytes": options.gigabytes, "rows": rows}
    print(table(found))
    save(options.out, found)


def measure(size: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Time and memory of every contender at one size."""
    found = {
        name: alone(once_alone, name, size, options.width, options.gigabytes) for name in MAKE if options.only in name
    }
    seconds = {name: cost[0] for name, cost in found.items() if cost}
    if size <= options.together:
        seconds = in_rounds(list(seconds), size, options.width, options.rounds)
    return [
        {
            "batch": size,
            "width": options.width,
            "loss": name,
            "rounds": options.rounds if size <= options.together else 1,
            "seconds": seconds.get(name),
            "bytes": cost[1] if cost else None,
        }
        for name, cost in found.items()
    ]


def in_rounds(names: list[str], size: int, width: int, rounds: int) -> dict[str, float]:
    """The median seconds of each contender."""
    images, texts = inputs(size, width)
    losses = {name: MAKE[name]() for name in names}
    taken: dict[str, list[float]] = {name: [] for name in names}
    for round_ in range(rounds + 1):  # the first one is for warming up
        for name, loss in losses.items():
            seconds = once(loss, images, texts)
            if round_:
                taken[name].append(seconds)
    return {name: statistics.median(values) for name, values in taken.items()}


def once_alone(name: str, size: int, width: int, gigabytes: float) -> tuple[float, int]:
    """Seconds and the most bytes of one pass, beyond those held before it."""
    loss = MAKE[name]()
    once(loss, *inputs(64, width))  # what is made once, whatever the size
    images, texts = inputs(size, width)
    resource.setrlimit(resource.RLIMIT_AS, (int(gigabytes * 2**30),) * 2)
    seconds, _, most = cost(lambda: once(loss, images, texts))
    return seconds, most


def inputs(size: int, width: int) -> tuple[Tensor, Tensor]:
    """Unit vectors of both sides, leaves of a graph."""
    torch.manual_seed(0)
    images, texts = (F.normalize(torch.randn(size, width), dim=1).requires_grad_() for _ in range(2))
    return images, texts


def once(loss: Loss, images: Tensor, texts: Tensor) -> float:
    """Seconds of one forward and backward pass."""
    images.grad = texts.grad = None
    started = time.perf_counter()
    loss(images, texts).backward()
    return time.perf_counter() - started


def table(found: dict[str, Any]) -> str:
    """Markdown: every contender's time and memory, and its time over that of Dovetail's loss of the same kind."""
    lines = ["| batch | loss | ms | times ours | MiB |", "|---|---|---|---|---|"]
    rows = found["rows"]
    ours = {(r["batch"], r["loss"].partition(",")[0]): r["seconds"] for r in rows if "dovetail" in r["loss"]}
    for row in rows:
        own = ours[row["batch"], row["loss"].partition(",")[0]]
        if row["seconds"] is None or own is None:
            lines.append(f"| {row['batch']:,} | {row['loss']} | more than {found['gigabytes']:g} GiB | | |")
            continue
        figures = f"{1e3 * row['seconds']:,.0f} | {row['seconds'] / own:.2f} | {row['bytes'] / 2**20:,.0f}"
        lines.append(f"| {row['batch']:,} | {row['loss']} | {figures} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
