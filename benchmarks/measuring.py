"""What several benchmarks share: what a call costs, and work done in a process of its own."""

import ctypes
import multiprocessing
import platform
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch

from dovetail.evaluation.claims.trial import begin_peak, machine, peak_bytes
from dovetail.models.files import write_json

P = ParamSpec("P")
T = TypeVar("T")
M_MMAP_THRESHOLD = -3  # of malloc.h


def cost(call: Callable[[], T]) -> tuple[T, float, int]:
    """What a call gives, its seconds, and the most bytes it held beyond those held before."""
    begin_peak()
    before = peak_bytes()
    started = time.perf_counter()
    found = call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return found, time.perf_counter() - started, peak_bytes() - before


def unfragmented() -> None:
    """From now on this process gives freed blocks of 4 MiB or more back at once, where the C library can be told so.

    Without it a peak is that of the holes in the heap too, which is several times what was needed, and a matter of
    luck. Programs that allocate much become slower: not for measuring time.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(M_MMAP_THRESHOLD, 1 << 22)


def alone(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """What a function of a module gives in a process of its own; None when its memory did not suffice.

    What it complained of stands on the standard error.
    """
    context = multiprocessing.get_context("forkserver")
    # imported once, for all processes to come
    context.set_forkserver_preload(sorted(name for name in sys.modules if name.startswith("dovetail.")))
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            return pool.submit(call, *args, **kwargs).result()
        except (BrokenProcessPool, MemoryError):  # the system ends a process that asks for too much
            return None
        except RuntimeError as error:
            if "memory" in str(error):
                return None
            raise


def save(out: Path | None, found: dict[str, Any]) -> None:
    """Writes what was found, and on what machine, if there is a place to write it to."""
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_json({"device": machine(), "torch": torch.__version__, "python": platform.python_version(), **found}, out)
