"""Parameters divided among the processes (FSDP2), and the whole model put together from them.

Zhao et al., "PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel", 2023.

Each process keeps 1/N of every parameter, of its gradient and of its optimiser state. A block's parameters are brought
together when the block runs, forward and backward, and let go after it.
"""

import copy
from collections import Counter
from collections.abc import Mapping
from typing import TypeVar

import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from dovetail.ops.distributed import mean_over_processes, world_size

M = TypeVar("M", bound=nn.Module)


def prepared(task: nn.Module, engine: Accelerator, shard: bool) -> nn.Module:
    """The task inside what makes the processes one: its parameters divided among them, or a copy in each (DDP)."""
    if shard and engine.num_processes > 1:
        divide(task, engine.device)
        # Accelerate adds the precision alone: docs/decisions.md says why not the sharding.
        wrapped: nn.Module = engine.prepare_model(task, evaluation_mode=True)
    else:
        wrapped = engine.prepare(task)
    return wrapped


def divide(module: nn.Module, device: torch.device) -> None:
    """Divides the module's parameters among all processes, in place; to be done before an optimiser is made.

    Scalars, such as the scale of the scores, stay whole in every process, and their gradients are averaged.
    """
    scalars = {p for p in module.parameters() if p.ndim == 0}
    for p in module.parameters():
        p.data = p.data.contiguous()  # of channels-last weights, no rows could be taken
    for p in scalars:
        if p.requires_grad:
            p.register_hook(mean_over_processes)
    mesh = init_device_mesh(device.type, (world_size(),))
    for block in blocks(module):
        fully_shard(block, mesh=mesh, ignored_params=scalars)
    fully_shard(module, mesh=mesh, ignored_params=scalars)


def blocks(module: nn.Module) -> list[nn.Module]:
    """The repeated parts of a network, inner ones first: items of a list or sequence with another of their class in it.

    So every architecture says itself where it can be cut: transformer blocks, residual blocks, stages.
    """
    found: dict[int, nn.Module] = {}
    for sequence in module.modules():
        if isinstance(sequence, nn.ModuleList | nn.Sequential):
            # A lone layer is no block: bringing it together by itself costs more than it saves.
            parts = [item for item in sequence if len(list(item.modules())) > 1 and len(list(item.parameters()))]
            alike = Counter(map(type, parts))
            found.update({id(item): item for item in parts if alike[type(item)] > 1})
    return sorted(found.values(), key=lambda item: sum(1 for _ in item.modules()))


def outline(module: M) -> M:
    """A copy of the module that holds no parameters, to be `filled`; made before the module is divided."""
    empty = {id(p): nn.Parameter(torch.empty_like(p, device="meta"), requires_grad=False) for p in module.parameters()}
    return copy.deepcopy(module, empty)  # which the copy takes for copied already


def filled(outline: M, tensors: Mapping[str, Tensor]) -> M:
    """A module with these weights, in evaluation mode. All processes must ask for it together.

    What is divided is brought together in every process; what is not is shared with `tensors`, not copied, and made
    that of the first process (running statistics differ).
    """
    module = copy.deepcopy(outline, {id(p): p for p in outline.parameters()})
    module.load_state_dict({name: _all_of(tensor) for name, tensor in tensors.items()}, assign=True)
    return module.eval().requires_grad_(False)


def local(tensor: Tensor) -> Tensor:
    """What this process holds of a tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _all_of(tensor: Tensor) -> Tensor:
    if isinstance(tensor, DTensor):
        return tensor.full_tensor()
    if world_size() > 1:
        dist.broadcast(tensor, 0)
    return tensor
