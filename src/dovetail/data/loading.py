"""Turning draws into batches with worker processes: in order, and bit-identical for any number of them.

The record stream runs in the main process; the workers get lists of draws and decode. All randomness of an item comes
with its draw, so nothing depends on which worker takes it.

Workers are forked on Linux: they start in milliseconds without importing torch again, share the parent's memory, and
need no `if __name__ == "__main__"` in the user's script, as spawn and forkserver do. What makes a fork unsafe is a
thread pool or a GPU context used in the child; the workers run single-threaded and never touch a GPU.
"""

import gc
import os
import pickle
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from dovetail.data.collate import Draw, Loaded
from dovetail.data.records import DataError

Collating = Callable[[Sequence[Draw]], Loaded]

LARGE = 1 << 18
"""Bytes from which on a tensor goes from a worker to the main process through shared memory."""


class LoadingError(RuntimeError):
    """An item that broke the loading itself. The message names it; the worker's traceback is attached as a note."""


def loader(batches: Iterable[Sequence[Draw]], collate: Collating, workers: int | None = None) -> Iterator[Loaded]:
    """What `collate` makes of each list of draws, in order. The tensors are pinned when there is a GPU.

    workers: processes that decode, each two batches ahead; 0 decodes in this process; None: `default_workers()`.
    The workers live as long as the iterator; closing or dropping it ends them.
    Raises LoadingError (DataError, where that was the cause) naming the record on which `collate` failed.
    """
    number = default_workers() if workers is None else workers
    asked = _UntilError(batches)
    loading = DataLoader(
        _Collated(collate),
        sampler=asked,
        batch_size=None,
        num_workers=number,
        collate_fn=_as_is,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_begin_worker if number else None,
        multiprocessing_context="fork" if number and sys.platform == "linux" else None,
        generator=torch.Generator(),  # a loader must not advance the random state of the training
    )
    with warnings.catch_warnings():
        # Python 3.12 warns of any fork in a process with threads; see above
        warnings.filterwarnings("ignore", message=".*use of fork.*", category=DeprecationWarning)
        parcels = iter(loading)
    try:
        for parcel in map(_opened, parcels):
            if parcel.error is not None:
                raise parcel.error
            assert parcel.loaded is not None
            yield parcel.loaded
        if asked.error is not None:
            raise asked.error
    finally:
        # without this, the workers live on as long as a traceback refers to the iterator
        getattr(parcels, "_shutdown_workers", _nothing)()


def default_workers(processes: int = 1) -> int:
    """How many workers each of `processes` training processes on this machine should have: a share of all cores when
    a GPU trains, and of half of them when they train as well; 1 at least, 16 at most."""
    free = cores() if torch.cuda.is_available() else cores() // 2
    return min(max(1, free // processes), 16)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


class _UntilError:
    """The batches up to the first that cannot be had, and why. The workers run ahead; the error waits for its turn."""

    def __init__(self, batches: Iterable[Sequence[Draw]]) -> None:
        self._batches = batches
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[Sequence[Draw]]:
        try:
            yield from self._batches
        except Exception as error:
            self.error = error


@dataclass(frozen=True)
class _Parcel:
    """What a worker sends: a batch, or the error to raise in its place."""

    loaded: Loaded | None
    error: Exception | None = None

    def pin_memory(self) -> "_Parcel":
        if self.loaded is None or self.loaded.batch is None:
            return self
        return replace(self, loaded=replace(self.loaded, batch=self.loaded.batch.pin_memory()))


@dataclass(frozen=True)
class _Sealed:
    """A parcel on its way: large tensors as they are, in shared memory; the rest, small tensors included, as bytes.

    Each tensor in shared memory costs both processes a file, a connection and a mapping.
    """

    content: bytes
    large: tuple[Tensor, ...]

    def pin_memory(self) -> _Parcel:
        return _opened(self).pin_memory()


class _Seal(pickle.Pickler):
    """Puts large tensors aside, in the order in which they come."""

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.large: list[Tensor] = []

    def persistent_id(self, held: Any) -> Any:
        if not isinstance(held, Tensor):
            return None
        if held.nbytes < LARGE:
            return held.numpy()
        self.large.append(held)
        return len(self.large) - 1


class _Unseal(pickle.Unpickler):
    def __init__(self, sealed: _Sealed) -> None:
        super().__init__(BytesIO(sealed.content))
        self._large = sealed.large

    def persistent_load(self, pid: Any) -> Tensor:
        return self._large[pid] if isinstance(pid, int) else torch.from_numpy(pid)


def _sealed(parcel: _Parcel) -> _Sealed:
    file = BytesIO()
    seal = _Seal(file)
    seal.dump(parcel)
    return _Sealed(file.getvalue(), tuple(seal.large))


def _opened(parcel: _Parcel | _Sealed) -> _Parcel:
    if isinstance(parcel, _Parcel):
        return parcel
    held: _Parcel = _Unseal(parcel).load()
    return held


class _Collated(Dataset[_Parcel | _Sealed]):
    """The data set whose "indices" are lists of draws."""

    def __init__(self, collate: Collating) -> None:
        self._collate = collate

    def __getitem__(self, draws: Any) -> _Parcel | _Sealed:
        try:
            parcel = _Parcel(self._collate(draws))
        except Exception as error:
            parcel = _Parcel(None, self._explained(error, draws))
        return parcel if get_worker_info() is None else _sealed(parcel)

    def _explained(self, error: Exception, draws: Sequence[Draw]) -> Exception:
        name = self._culprit(draws)
        told: Exception = LoadingError(f"{name}: {type(error).__name__}: {error}")
        if isinstance(error, DataError):
            told = DataError(f"{name}: {error}")
        told.add_note("".join(traceback.format_exception(error)))
        return told

    def _culprit(self, draws: Sequence[Draw]) -> str:
        """The name of the first record that fails alone, or the range of those that fail together only."""
        for draw in draws:
            try:
                self._collate([draw])
            except Exception:
                return draw.record.name
        return f"the batch from {draws[0].record.name} to {draws[-1].record.name}" if draws else "an empty batch"


def _begin_worker(_: int) -> None:
    torch.set_num_threads(1)  # as many workers as cores: more threads would only compete
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # likewise; a pool begun before the fork is gone in the child
    gc.freeze()  # collecting would touch, and so copy, every object inherited from the parent


def _as_is(parcel: Any) -> Any:
    return parcel


def _nothing() -> None:
    pass
