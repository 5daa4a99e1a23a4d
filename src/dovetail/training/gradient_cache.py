"""Gradient caching: the towers see a piece of the batch at a time, the objective's terms all of it.

Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup", 2021.

    1. encode every piece without keeping what a backward pass needs
    2. the terms of all outputs together, and their gradient with respect to the outputs
    3. encode every piece again, with the same random numbers, and hand it its share of that gradient

Memory: the activations of one piece, and the outputs of the batch. Cost: one more forward pass. The gradients are those
of the whole batch, but for towers that normalise over the batch: they see the statistics of a piece.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from dovetail.contracts import Batch
from dovetail.ops.distributed import world_size
from dovetail.training.pieces import by_owner, cut, each, floats, join
from dovetail.training.task import Task

Backward = Callable[[Batch, int, bool], Float[Tensor, ""]]
"""(batch, share, exchange): adds the gradients of the batch's loss over `share` to the parameters' and returns that
loss. exchange: processes bring their gradients together at its end; otherwise they keep them for now."""

State = tuple[Tensor, Tensor | None]
"""Of the random numbers of the CPU and, if it is another, of the device."""

OVER_THE_BATCH = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
TRACKING = (*OVER_THE_BATCH, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)


class WholeBatch:
    """The plain way: towers and terms see the batch at once.

    Args:
        module: a Task in whatever wraps it.
        engine: that wrapped it.
    """

    def __init__(self, module: nn.Module, engine: Accelerator):
        self.module, self.engine = module, engine

    def __call__(self, batch: Batch, share: int, exchange: bool) -> Float[Tensor, ""]:
        """See Backward."""
        with nullcontext() if exchange else self.engine.no_sync(self.module):
            terms = self.module(partial(Task.terms, batch=batch.to(self.engine.device)))
            loss = _sum(terms) / share
            self.engine.backward(loss)
        return loss.detach()


class GradientCache:
    """The same gradients with no more than `size` images of a process in the towers at once.

    Args:
        whole: the plain way, taken when no process has more than one piece.
        size: images.
    """

    def __init__(self, whole: WholeBatch, size: int):
        self.whole, self.size = whole, size
        self.module, self.engine = whole.module, whole.engine

    def __call__(self, batch: Batch, share: int, exchange: bool) -> Float[Tensor, ""]:
        """See Backward."""
        batch = by_owner(batch)
        count = self._count(len(batch.ids))
        if count == 1:
            return self.whole(batch, share, exchange)
        pieces = cut(batch, min(count, len(batch.ids)))
        idle = count - len(pieces)  # a process with hardly any images keeps step with the others
        pieces = pieces[:1] * idle + pieces
        leaves, states = self._encode(pieces)
        loss = self._terms_backward(batch.to(self.engine.device), join(leaves[idle:]), share)
        for outputs in leaves[:idle]:
            _nothing_due(outputs, leaves[-1])
        self._hand_out(pieces, leaves, states, exchange)
        return loss

    def _encode(self, pieces: Sequence[Batch]) -> tuple[list[Any], list[State]]:
        """The pieces' outputs, of which nothing but their values is kept, and the random state before each."""
        leaves, states = [], []
        with torch.no_grad(), _statistics_kept(self.module):
            for piece in pieces:
                states.append(_random_state(self.engine.device))
                outputs = self.module(partial(_encoded, batch=piece.to(self.engine.device)))
                leaves.append(each(outputs, _leaf))
        return leaves, states

    def _terms_backward(self, batch: Batch, outputs: Any, share: int) -> Float[Tensor, ""]:
        with self._apart():
            loss = _sum(self.module(partial(_terms, outputs=outputs, batch=batch))) / share
            self.engine.backward(loss)
        return loss.detach()

    def _hand_out(self, pieces: Sequence[Batch], leaves: list[Any], states: list[State], exchange: bool) -> None:
        """Encodes the pieces again and passes the leaves' gradients on; the random state afterwards is as before."""
        device = self.engine.device
        after = _random_state(device)
        for i, (piece, outputs, state) in enumerate(zip(pieces, leaves, states, strict=True), 1):
            _set_random_state(device, state)
            last = i == len(pieces)
            with nullcontext() if last and exchange else self._apart():
                work = _last_surrogate if last else _surrogate
                surrogate = self.module(partial(work, batch=piece.to(device), leaves=floats(outputs)))
                if surrogate.requires_grad:  # not when the towers are frozen and no term has parameters
                    self.engine.backward(surrogate)
        _set_random_state(device, after)

    def _apart(self) -> AbstractContextManager[None]:
        """Processes keep their gradients for themselves within."""
        apart: AbstractContextManager[None] = self.engine.no_sync(self.module)
        return apart

    def _count(self, images: int) -> int:
        """Pieces, as many in all processes: what wraps the task may let them meet in every forward pass."""
        if world_size() > 1:
            most = torch.tensor(images, device=self.engine.device)
            dist.all_reduce(most, dist.ReduceOp.MAX)
            images = int(most)
        return -(-images // self.size)


def normalises_over_batch(module: nn.Module) -> bool:
    """Whether what it says of an item depends, in training, on the items beside it."""
    return any(isinstance(m, OVER_THE_BATCH) for m in module.modules())


def over_pieces(size: int) -> str:
    """The warning for a model that does."""
    return (
        f"a tower has batch normalisation, which with --micro-batch {size} is over at most {size} images instead of "
        "the whole batch. Its gradients are then not exactly those of the whole batch, as they are for other towers."
    )


# Work done inside the task's wrapper. The last two return a scalar whose gradient is what the pieces' outputs are due:
# wrappers see scalars, but would not look for tensors in an objective's own dataclass.


def _encoded(task: Task, batch: Batch) -> Any:
    return task.objective.encode(task.model, batch)


def _terms(task: Task, outputs: Any, batch: Batch) -> Mapping[str, Tensor]:
    terms: Mapping[str, Tensor] = task.objective.terms(outputs, batch)
    return terms


def _surrogate(task: Task, batch: Batch, leaves: list[Tensor]) -> Float[Tensor, ""]:
    """sum_i <output_i, gradient_i>, whose gradient with respect to the outputs is the one that was cached."""
    pairs = zip(floats(_encoded(task, batch)), leaves, strict=True)
    due = [(x * leaf.grad).sum().float() for x, leaf in pairs if leaf.grad is not None and x.requires_grad]
    return torch.stack(due).sum() if due else torch.zeros((), device=batch.ids.device)


def _last_surrogate(task: Task, batch: Batch, leaves: list[Tensor]) -> Float[Tensor, ""]:
    """The same, with an empty sum over parameters that only the terms use: DDP exchanges the gradients of what takes
    part in the last backward pass. Those that FSDP2 divided were exchanged with the terms' own."""
    own = [p for p in task.objective.parameters() if p.requires_grad and not isinstance(p, DTensor)]
    empty = [p.flatten()[:0].sum().float() for p in own]
    return torch.stack([_surrogate(task, batch, leaves), *empty]).sum()


def _sum(terms: Mapping[str, Tensor]) -> Float[Tensor, ""]:
    return torch.stack([t.to(torch.promote_types(t.dtype, torch.float32)) for t in terms.values()]).sum()


def _nothing_due(outputs: Any, like: Any) -> None:
    """Gradients of zero for an idle piece, where the pieces of other processes have some."""
    for x, y in zip(floats(outputs), floats(like), strict=True):
        x.grad = torch.zeros_like(x) if x.ndim and y.grad is not None else None


def _leaf(x: Tensor) -> Tensor:
    return x.detach().requires_grad_()


@contextmanager
def _statistics_kept(module: nn.Module) -> Iterator[None]:
    """Running statistics of normalisation layers do not move within: only the second pass over a piece counts."""
    tracking = [m for m in module.modules() if isinstance(m, TRACKING) and m.track_running_stats]
    for m in tracking:
        m.track_running_stats = False
    try:
        yield
    finally:
        for m in tracking:
            m.track_running_stats = True


def _random_state(device: torch.device) -> State:
    return torch.get_rng_state(), None if device.type == "cpu" else torch.get_device_module(device).get_rng_state()


def _set_random_state(device: torch.device, state: State) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.get_device_module(device).set_rng_state(state[1])
