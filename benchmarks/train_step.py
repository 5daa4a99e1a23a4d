"""Images a second of a whole training step (towers, loss, backward pass, AdamW) against open_clip.

    python benchmarks/train_step.py --data flickr8k/train.jsonl --out results/train_step_cpu.json

Both sides are the same CLIP with the same initial weights, which the first losses must show, on the same batches in the
same precision. Ours gets bytes and captions padded to the longest of the batch, as its loader makes them; open_clip
normalised floats and captions padded to 77, as its own does. Compiled: the blocks of our towers, and open_clip's whole
model as its command does, under torch.compile. The median over rounds, in each of which both have their turn on the
same batch. --data: a file of images with captions, of which only these are used; without, those of rendered scenes.
"""

import argparse
import gc
import os
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from clip_steps import BATCHES, SHAPES, Shape, Work, compile_ours, models, our_step, their_step, work
from measuring import save

SLOW = 0.5  # bfloat16 products slower than this share of float32's are not made by the processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a file of images with captions; without, captions of rendered scenes")
    parser.add_argument("--shapes", nargs="+", default=["small"], choices=list(SHAPES))
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"], choices=["fp32", "bf16"])
    parser.add_argument("--modes", nargs="+", default=["eager", "compiled"], choices=["eager", "compiled"])
    parser.add_argument("--batch", type=int, help="images a step; without, the shape's")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    for name in options.shapes:
        shape = SHAPES[name] if options.batch is None else replace(SHAPES[name], batch=options.batch)
        held = work(shape, options.data, options.device)
        about = {"model": name, "batch": shape.batch, "tokens": held.tokens}
        for precision in options.precisions:
            for mode in options.modes:
                why = impossible(precision, mode, options.device)
                found = {"reason": why} if why else measure(shape, held, precision, mode, options)
                rows.append({**about, "precision": precision, "mode": mode, **found})
                print(table(rows).splitlines()[-1], flush=True)
    print("\n" + table(rows))
    save(options.out, {"rounds": options.rounds, "rows": rows})


def impossible(precision: str, mode: str, device: str) -> str | None:
    """Why this cannot be measured here, or None."""
    if device == "cpu" and mode == "compiled" and not (os.environ.get("CXX") or shutil.which("g++")):
        return "no C++ compiler"
    if precision == "bf16":
        share = products(torch.bfloat16, device) / products(torch.float32, device)
        if share < SLOW:
            return f"bfloat16 products run at {share:.2f} of float32's speed here"
    return None


def products(dtype: torch.dtype, device: str, size: int = 1024) -> float:
    """Floating-point operations a second of a matrix product, at the best of a few."""
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    return 2 * size**3 / min(seconds(lambda: torch.nn.functional.linear(a, b), device) for _ in range(5))


def measure(shape: Shape, held: Work, precision: str, mode: str, options: argparse.Namespace) -> dict[str, Any]:
    """Median images a second of both sides."""
    ours, theirs = models(shape, held.tokenizer, options.device)
    if mode == "compiled":
        compile_ours(ours)
        theirs.compile()
    steps = {
        "dovetail": our_step(ours, held.ours, precision, options.device),
        "open_clip": their_step(theirs, held.theirs, precision, options.device),
    }
    agree([float(step(0)) for step in steps.values()], precision)
    for step in steps.values():
        step(1)  # with other lengths of captions
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(options.rounds):
        for name, step in steps.items():
            taken[name].append(seconds(lambda s=step, n=round_ % BATCHES: s(n), options.device))
    del ours, theirs, steps
    gc.collect()
    return {f"{name} images/s": shape.batch / statistics.median(found) for name, found in taken.items()}


def agree(losses: list[float], precision: str) -> None:
    """Raises ValueError unless the sides' first losses are the same: they would not be doing the same work."""
    limit = 1e-4 if precision == "fp32" else 2e-2
    if abs(losses[0] - losses[1]) > limit * losses[1]:
        raise ValueError(f"the first losses differ: {losses[0]} (dovetail) and {losses[1]} (open_clip)")


def seconds(work: Callable[[], object], device: str) -> float:
    """What a piece of work takes until the device has done it."""
    wait = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    wait()
    started = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - started


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: images a second of both sides and how many times faster ours is."""
    heads = ["model", "batch", "tokens a caption", "precision", "mode", "dovetail", "open_clip", "ratio"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for row in rows:
        about = f"| {row['model']} | {row['batch']} | {row['tokens']:.1f} | {row['precision']} | {row['mode']} |"
        if "reason" in row:
            lines.append(f"{about} not measured: {row['reason']} | | |")
            continue
        ours, theirs = row["dovetail images/s"], row["open_clip images/s"]
        lines.append(f"{about} {ours:.1f} | {theirs:.1f} | {ours / theirs:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
