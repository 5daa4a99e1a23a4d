"""Several perceptrons in the place of a block's one, of which each token is sent to the few that a router chooses.

Shazeer et al., "Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts Layer", 2017; made of trained
blocks in Komatsuzaki et al., "Sparse Upcycling: Training Mixture-of-Experts from Dense Checkpoints", 2023:

    p = softmax(W x);    y = sum over the k experts e of greatest p_e  p_e / (their sum)  MLP_e(x)
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from jaxtyping import Float
from torch import Tensor, nn

from dovetail.nn.transformer import Activation, Block
from dovetail.ops.features import wide

M = TypeVar("M")


class Mixture(nn.Module):
    """The experts of one block, each a copy of its perceptron at first, and their router.

    Args:
        up: the perceptron's first map.
        down: its second.
        activation: between them.
        experts: how many copies.
        top: how many of them a token is sent to.
    """

    def __init__(self, up: nn.Linear, down: nn.Linear, activation: Activation, experts: int, top: int):
        super().__init__()
        self.top, self.activation = top, activation
        pairs = [nn.ModuleList([copy.deepcopy(up), copy.deepcopy(down)]) for _ in range(experts)]
        self.experts = nn.ModuleList(pairs)
        self.router = nn.Linear(up.in_features, experts, bias=False).to(up.weight)

    def forward(self, x: Float[Tensor, "m d"]) -> Float[Tensor, "m d"]:
        weights, chosen = wide(self.router(x)).softmax(1).topk(self.top)
        weights = (weights / weights.sum(1, keepdim=True)).to(x.dtype)
        found = x.new_zeros(x.shape)
        for number, expert in enumerate(self.experts):
            up, down = cast(nn.ModuleList, expert)
            token, place = (chosen == number).nonzero(as_tuple=True)
            said = down(self.activation(up(x[token]))) * weights[token, place, None]
            found = found.index_add(0, token, said.to(found.dtype))
        return found


def blocks_of(module: nn.Module) -> list[Block]:
    """Every transformer block of ours in it, whose perceptron is one still."""
    return [m for m in module.modules() if isinstance(m, Block) and isinstance(m.up, nn.Linear)]


class Multiplet(nn.Module):
    """The perceptrons of all blocks of a model, once for each expert, from which a mixture can be made.

    Args:
        experts: how many.
    """

    def __init__(self, experts: int):
        super().__init__()
        self.experts, self.sets = experts, nn.ModuleList()

    def begin(self, model: nn.Module) -> None:
        """Copies of what the model has, where there are none yet."""
        if not self.sets:
            held = [nn.ModuleList([block.up, block.down]) for block in blocks_of(model)]
            self.sets.extend(copy.deepcopy(nn.ModuleList(held)).requires_grad_(False) for _ in range(self.experts))

    def put(self, number: int, blocks: list[Block]) -> None:
        """Gives the blocks the perceptrons of an expert."""
        for block, held in zip(blocks, self.of(number), strict=True):
            nn.ModuleList([block.up, block.down]).load_state_dict(held.state_dict())

    def take(self, number: int, blocks: list[Block]) -> None:
        """Keeps the blocks' perceptrons as an expert's."""
        for block, held in zip(blocks, self.of(number), strict=True):
            held.load_state_dict(nn.ModuleList([block.up, block.down]).state_dict())

    def of(self, number: int) -> nn.ModuleList:
        """The perceptrons of an expert, block by block."""
        return cast(nn.ModuleList, self.sets[number])


def upcycled(tower: M, experts: int, top: int) -> M:
    """The tower with a mixture in every block; it is changed. Its outputs stay, as all experts are equal.

    Raises ValueError for a tower without such blocks, and for numbers that are not 1 <= top <= experts.
    """
    if not 1 <= top <= experts:
        raise ValueError(f"top={top}, experts={experts}: expected 1 <= top <= experts")
    module: Any = tower
    blocks = blocks_of(module)
    if not blocks:
        raise ValueError(f"{type(tower).__name__} has no transformer blocks of ours to put experts into")
    for block in blocks:
        # The mixture stands for all three; what stood before it lets through.
        block.register_module("down", Mixture(block.up, block.down, block.activation, experts, top))
        block.register_module("up", nn.Identity())
        block.activation = _through
    return tower


def mixtures_of(module: nn.Module) -> list[Mixture]:
    """Every mixture in it, in order."""
    return [m for m in module.modules() if isinstance(m, Mixture)]


@contextmanager
def routed(module: nn.Module) -> Iterator[list[Float[Tensor, "m e"]]]:
    """A list that receives, within, what the router of each mixture says of each token, mixture by mixture."""
    seen: list[Tensor] = []
    handles = [m.router.register_forward_hook(lambda _, __, said: seen.append(said)) for m in mixtures_of(module)]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _through(x: Tensor) -> Tensor:
    return x
