"""Runs a function in several processes that are joined by torch.distributed (gloo), as a training on many machines is.

    def total(rank: int, shares: list[float]) -> float:      # a top-level function of a test module
        return float(sum_over_processes(torch.tensor(shares[rank])))

    assert run(total, 2, [1.0, 2.0]) == [3.0, 3.0]

A start costs little, for a server that has imported what takes long is forked. Do many checks in one run.
"""

import multiprocessing
import pickle
import tempfile
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

_context = multiprocessing.get_context("forkserver")
LONG = (
    "torch",
    "torch.distributed",
    "timm",
    "transformers",
    "accelerate",
    "peft",
    "scipy.stats",
    "dovetail.training.run",
)
_context.set_forkserver_preload(list(LONG))


def run(function: Callable[..., Any], processes: int, *args: Any, timeout: float = 120) -> list[Any]:
    """What `function(rank, *args)` returns in each of the processes, in rank order.

    Raises AssertionError with the traceback of the process that failed first, or when they take longer than `timeout`
    seconds, as they do when one waits for another for ever.
    """
    with tempfile.TemporaryDirectory() as folder:
        store = (Path(folder) / "store").as_uri()
        ends = [_context.Pipe(duplex=False) for _ in range(processes)]
        started = [
            _context.Process(target=_child, args=(end, rank, processes, store, timeout, function, args), daemon=True)
            for rank, (_, end) in enumerate(ends)
        ]
        try:
            for process, (_, end) in zip(started, ends, strict=True):
                process.start()
                end.close()
            return _collect([mine for mine, _ in ends], time.monotonic() + timeout)
        finally:
            for process in started:
                process.terminate()
                process.join()


def _collect(connections: list[Connection], deadline: float) -> list[Any]:
    results: dict[int, Any] = {}
    while len(results) < len(connections):
        missing = [c for rank, c in enumerate(connections) if rank not in results]
        ready = wait(missing, max(0.0, deadline - time.monotonic()))
        if not ready:
            silent = [rank for rank in range(len(connections)) if rank not in results]
            raise AssertionError(f"processes {silent} did not finish in time")
        for connection in ready:
            rank = connections.index(connection)
            results[rank] = _received(connection, rank)
    return [results[rank] for rank in range(len(connections))]


def _received(connection: Connection, rank: int) -> Any:
    try:
        result, trouble = pickle.loads(connection.recv_bytes())
    except EOFError as error:
        raise AssertionError(f"process {rank} died without a word") from error
    if trouble:
        raise AssertionError(f"process {rank} failed\n{trouble}")
    return result


def _child(
    end: Connection, rank: int, processes: int, store: str, timeout: float, function: Callable[..., Any], args: Any
) -> None:
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    torch.manual_seed(rank)
    dist.init_process_group("gloo", store, timedelta(seconds=timeout), rank=rank, world_size=processes)
    try:
        answer: tuple[Any, str | None] = (function(rank, *args), None)
    except Exception:
        answer = (None, traceback.format_exc())
    end.send_bytes(pickle.dumps(answer))
    if answer[1] is None:  # otherwise the others wait for this one; the parent ends them
        dist.barrier()
        dist.destroy_process_group()
