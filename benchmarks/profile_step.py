"""Where the time of a training step goes, and how much of the machine's matrix products it keeps busy.

    python benchmarks/profile_step.py --data flickr8k/train.jsonl --out results/profile_cpu.json

The steps are those of train_step.py, eager. Stages: wall time, the device awaited after each, median over rounds; the
loss finds the gradients of the embeddings with its value. Kinds: each operation's own time in torch's profiler. The
peak is the best of several products of two square matrices in the same precision; the floating-point operations of a
step are those of its matrix products, counted as they run, so that those made for padding count for open_clip.
"""

import argparse
import statistics
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from clip_steps import BATCHES, DECAY, RATE, SHAPES, Step, autocast, models, our_step, their_step, work
from measuring import save
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode
from train_step import impossible, products, seconds

from dovetail.contracts import Batch
from dovetail.methods.objectives.contrastive import Contrastive
from dovetail.models.dual_encoder import DualEncoder
from dovetail.training.optimizer import adamw
from dovetail.training.settings import Settings

# The kind of an operation is the first of these whose list has a part of its name.
KINDS: dict[str, tuple[str, ...]] = {
    "optimiser": ("adamw", "AdamW", "lerp_", "addcdiv_", "addcmul_", "sqrt", "Optimizer"),
    "matrix products of the towers and the loss": ("::mm", "::addmm", "linear", "convolution", "gemm"),
    "attention": ("bmm", "scaled_dot_product", "softmax", "masked_fill", "tril"),
    "norms": ("layer_norm",),
    "activations": ("gelu", "sigmoid"),
    "copies and zeros": ("copy_", "cat", "index", "fill_", "zero", "embedding", "empty", "to_copy"),
}
REST = "sums, products of elements, and the rest"
PEAK = 2048  # rows and columns of the products that show the peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a file of images with captions; without, captions of rendered scenes")
    parser.add_argument("--shape", default="small", choices=list(SHAPES))
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--batch", type=int, help="images a step; without, the shape's")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if why := impossible(options.precision, "eager", options.device):
        raise SystemExit(f"not measured: {why}")
    shape = SHAPES[options.shape] if options.batch is None else replace(SHAPES[options.shape], batch=options.batch)
    held = work(shape, options.data, options.device)
    ours, theirs = models(shape, held.tokenizer, options.device)
    steps = {
        "dovetail": our_step(ours, held.ours, options.precision, options.device),
        "open_clip": their_step(theirs, held.theirs, options.precision, options.device),
    }
    about = {"model": options.shape, "batch": shape.batch, "precision": options.precision}
    rows = [{"side": side, **about, **measure(step, options)} for side, step in steps.items()]
    rows[0]["stages"] = stages(ours, held.ours, options)
    print(table(rows))
    save(options.out, {"rows": rows})


def measure(step: Step, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of a step, its floating-point operations, the machine's peak, and the share of each kind of operation."""
    step(0)
    with FlopCounterMode(display=False) as counter:
        step(0)
    taken, peaks = [], []
    for i in range(options.rounds):  # in turn, so that other load falls on both
        taken.append(seconds(lambda n=i % BATCHES: step(n), options.device))
        peaks.append(products(torch.bfloat16 if options.precision == "bf16" else torch.float32, options.device, PEAK))
    gpu = options.device.startswith("cuda")
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]) as profiler:
        for i in range(BATCHES):
            step(i)
    found: dict[str, float] = defaultdict(float)
    for event in profiler.key_averages():
        found[kind(event.key)] += event.self_device_time_total if gpu else event.self_cpu_time_total
    shares = {name: found[name] / sum(found.values()) for name in [*KINDS, REST]}
    flops = counter.get_total_flops()
    return {"seconds": statistics.median(taken), "flops": flops, "peak": max(peaks), "kinds": shares}


def kind(operation: str) -> str:
    """The kind of an operation by its name in the profile."""
    return next((name for name, parts in KINDS.items() if any(part in operation for part in parts)), REST)


def stages(model: DualEncoder, batches: list[Batch], options: argparse.Namespace) -> dict[str, float]:
    """Median seconds of each stage of our step."""
    objective = Contrastive()
    optimizer = adamw(model, Settings(learning_rate=RATE, weight_decay=DECAY))
    taken: dict[str, list[float]] = defaultdict(list)

    def stage(name: str, call: Callable[..., Any], *given: Any) -> Any:
        found: list[Any] = []
        taken[name].append(seconds(lambda: found.append(call(*given)), options.device))
        return found[0]

    def update() -> None:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        model.clamp_scale()

    for number in range(options.rounds + 1):
        batch = stage("data to the device", batches[number % BATCHES].to("cpu").to, options.device)
        with autocast(options.precision, options.device):
            encoded = stage("towers, forward", objective.encode, model, batch)
            terms = stage("loss and its gradients", objective.terms, encoded, batch)
        stage("towers, backward", sum(terms.values()).backward)
        stage("optimiser", update)
    return {name: statistics.median(found[1:]) for name, found in taken.items()}  # the first one is for warming up


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: utilisation of both sides, the stages of our step, and the kinds of operations of both."""
    lines = ["| step | s | GFLOP | GFLOP/s | peak | utilisation |", "|---|---|---|---|---|---|"]
    for row in rows:
        rate = row["flops"] / row["seconds"]
        figures = f"{row['seconds']:.3f} | {row['flops'] / 1e9:,.0f} | {rate / 1e9:,.0f} | {row['peak'] / 1e9:,.0f}"
        lines.append(f"| {row['side']}, {row['model']}, {row['precision']} | {figures} | {rate / row['peak']:.0%} |")
    staged = next(row["stages"] for row in rows if "stages" in row)
    lines += ["", "| stage of our step | ms | share |", "|---|---|---|"]
    whole = sum(staged.values())
    lines += [f"| {name} | {1e3 * spent:,.1f} | {spent / whole:.1%} |" for name, spent in staged.items()]
    lines += ["", f"| kind of operation | {' | '.join(row['side'] for row in rows)} |", "|---|" + "---|" * len(rows)]
    for name in rows[0]["kinds"]:
        shares = [f"{row['kinds'][name]:.1%}" for row in rows]
        lines.append(f"| {name} | {' | '.join(shares)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
