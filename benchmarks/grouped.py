"""What the contrastive loss sends and takes over all processes, and within groups of them, at equal work.

    python benchmarks/grouped.py --out results/grouped_cpu.json

Processes of this machine, joined by gloo, each with --batch pairs of unit vectors. A step is the loss, forward and
backward, of features that are there already. Sent: the bytes that went through the loopback device (Linux), those of
other programs included, over the steps. Time: the median step of the slowest process.
"""

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from measuring import save
from torch.nn import functional as F

from dovetail.catalogue import build, discover
from dovetail.contracts import Features
from dovetail.ops.contrast import contrast
from dovetail.ops.distributed import gather_objects, wait_for_all, within
from dovetail.ops.sides import Side

LOOPBACK = Path("/sys/class/net/lo/statistics/tx_bytes")
WARM_UP = 3  # steps before those that count, in which groups are made and connections opened


def worker(rank: int, store: str, options: argparse.Namespace, group: int, answer: Any) -> None:
    """The steps of one process; the first tells what all of them took."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", store, rank=rank, world_size=options.processes)
    torch.manual_seed(rank)
    left, right = (F.normalize(torch.randn(options.batch, options.width), dim=1).requires_grad_() for _ in range(2))
    ids, weights = torch.arange(options.batch) + rank * options.batch, torch.ones(options.batch)
    loss, cosine, scale = build(options.loss), build("cosine"), torch.tensor(14.0)
    taken: list[float] = []
    sent = 0
    for step in range(WARM_UP + options.steps):
        wait_for_all()
        if step == WARM_UP:
            sent = _sent()
            wait_for_all()
        started = time.perf_counter()
        with within(group):
            contrast(*(Side(Features(x), ids, weights) for x in (left, right)), cosine, loss, scale).backward()
        taken.append(time.perf_counter() - started)
    wait_for_all()
    sent = _sent() - sent
    slowest = [max(step) for step in zip(*gather_objects(taken[WARM_UP:]), strict=True)]
    if rank == 0:
        answer.put({"group": group, "seconds": statistics.median(slowest), "bytes": sent / options.steps})
    wait_for_all()
    dist.destroy_process_group()


def _sent() -> int:
    return int(LOOPBACK.read_text()) if LOOPBACK.exists() else 0


def measure(options: argparse.Namespace, group: int) -> dict[str, Any]:
    """Seconds and bytes of a step with groups of that size."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(sorted(name for name in sys.modules if name.startswith("dovetail.")))
    answer = context.SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        store = (Path(folder) / "store").as_uri()
        arguments = [(rank, store, options, group, answer) for rank in range(options.processes)]
        started = [context.Process(target=worker, args=a, daemon=True) for a in arguments]
        for process in started:
            process.start()
        for process in started:
            process.join()
    if any(process.exitcode for process in started):
        raise RuntimeError(f"a process with groups of {group} did not survive; its message stands above")
    found: dict[str, Any] = answer.get()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--groups", type=int, nargs="*", default=[1, 2, 4], help="processes in each")
    parser.add_argument("--batch", type=int, default=512, help="pairs of each process")
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--loss", default="infonce", help="of the catalogue")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    discover()
    rows = [measure(options, group) for group in options.groups]
    print(table(rows))
    known = {name: getattr(options, name) for name in ("processes", "batch", "width", "loss", "steps")}
    save(options.out, known | {"rows": rows})


def table(rows: list[dict[str, Any]]) -> str:
    lines = ["| processes a group | ms a step | MiB sent a step |", "|---|---|---|"]
    lines += [f"| {r['group']} | {1000 * r['seconds']:,.0f} | {r['bytes'] / 2**20:,.1f} |" for r in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
