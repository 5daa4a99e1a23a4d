"""Time and memory of the loss alone, forward and backward, against open_clip and pytorch-metric-learning.

    python benchmarks/loss.py --rounds 3 --out results/loss_cpu.json

All contenders get the same unit vectors in float32. Time: the median over rounds, in each of which every contender has
its turn. Memory: what a process of its own needs at the most beyond what it held before the first call. A contender
that needs more than --gigabytes of address space, or dies, is out.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dovetail.catalogue import build
from dovetail.contracts import Features
from dovetail.evaluation.claims.trial import begin_peak, machine, peak_bytes
from dovetail.ops.contrast import Side, contrast

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
    parser.add_argument("--sizes", type=int, nargs="+", default=[1024, 4096])
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gigabytes", type=float, default=16.0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)  # measure the memory of one contender
    options = parser.parse_args()
    if options.one:
        print(json.dumps({"bytes": memory(options.one, options.sizes[0], options.width, options.gigabytes)}))
        return
    rows = [row for size in options.sizes for row in measure(size, options)]
    found = {"device": machine(), "torch": torch.__version__, "python": platform.python_version(), "rows": rows}
    print(table(rows))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        part = options.out.with_name(options.out.name + ".part")
        part.write_text(json.dumps(found, indent=2) + "\n")
        part.replace(options.out)


def measure(size: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Time and memory of every contender at one size."""
    needs = {name: _in_a_child(name, size, options) for name in MAKE}
    alive = {name: MAKE[name]() for name, need in needs.items() if need is not None}
    images, texts = inputs(size, options.width)
    taken: dict[str, list[float]] = {name: [] for name in alive}
    for round_ in range(options.rounds + 1):  # the first one is for warming up
        for name, loss in alive.items():
            seconds = once(loss, images, texts)
            if round_:
                taken[name].append(seconds)
    return [
        {
            "batch": size,
            "width": options.width,
            "loss": name,
            "seconds": statistics.median(taken[name]) if name in taken else None,
            "bytes": needs[name],
        }
        for name in MAKE
    ]


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


def memory(name: str, size: int, width: int, gigabytes: float) -> int:
    """The most bytes held by this process during one forward and backward pass, beyond those held before."""
    loss = MAKE[name]()
    once(loss, *inputs(64, width))  # what is made once, whatever the size
    images, texts = inputs(size, width)
    resource.setrlimit(resource.RLIMIT_AS, (int(gigabytes * 2**30),) * 2)
    begin_peak()
    before = peak_bytes()
    once(loss, images, texts)
    return peak_bytes() - before


def _in_a_child(name: str, size: int, options: argparse.Namespace) -> int | None:
    arguments = ["--one", name, "--sizes", str(size), "--width", str(options.width)]
    command = [sys.executable, __file__, *arguments, "--gigabytes", str(options.gigabytes)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ)
    return int(json.loads(done.stdout)["bytes"]) if done.returncode == 0 else None


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: every contender's time and memory, and its time over that of Dovetail's loss of the same kind."""
    lines = ["| batch | loss | ms | ratio | MiB |", "|---|---|---|---|---|"]
    ours = {(r["batch"], r["loss"].partition(",")[0]): r["seconds"] for r in rows if "dovetail" in r["loss"]}
    for row in rows:
        own = ours[row["batch"], row["loss"].partition(",")[0]]
        if row["seconds"] is None or own is None:
            lines.append(f"| {row['batch']:,} | {row['loss']} | out of memory | | |")
            continue
        figures = f"{1e3 * row['seconds']:,.1f} | {row['seconds'] / own:.2f} | {row['bytes'] / 2**20:,.0f}"
        lines.append(f"| {row['batch']:,} | {row['loss']} | {figures} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
