"""The prompter against attention in loops, and over what it is told to look at."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dovetail.nn.prompter import Prompter

WIDTH, OUT = 8, 5
OWNER = torch.tensor([2, 0, 2, 2])


def _inputs() -> tuple[Prompter, Tensor, Tensor]:
    made = Prompter(WIDTH, OUT).double()
    return made, torch.randn(4, 2, WIDTH, dtype=torch.float64), torch.randn(3, 6, WIDTH, dtype=torch.float64)


def _defined(made: Prompter, prompt: Tensor, tokens: Tensor) -> Tensor:
    """One block, token by token."""
    block = made.block
    x = torch.cat([prompt, tokens])
    q, k, v = block.qkv(block.norm_attention(x)).chunk(3, 1)
    rows = []
    for i in range(len(x)):
        weights = [(q[i] @ key / math.sqrt(WIDTH)).exp() for key in k]
        rows.append(sum(w * value for w, value in zip(weights, v, strict=True)) / sum(weights))
    x = x + block.out(torch.stack(rows))
    x = x + block.down(F.gelu(block.up(block.norm_mlp(x))))
    return made.projection(made.norm(x).mean(0))


def test_is_its_definition() -> None:
    made, prompts, tokens = _inputs()
    found = made(prompts, tokens, OWNER)
    for row, prompt, i in zip(found, prompts, OWNER, strict=True):
        torch.testing.assert_close(row, _defined(made, prompt, tokens[i]))


def test_padding_is_nothing() -> None:
    made, prompts, tokens = _inputs()
    real = torch.arange(6)[None, :] < torch.tensor([4, 6, 2])[:, None]
    found = made(prompts, tokens, OWNER, real)
    torch.testing.assert_close(found[1:2], made(prompts[1:2], tokens[:, :4], OWNER[1:2]))
    torch.testing.assert_close(found[[0, 2, 3]], made(prompts[[0, 2, 3]], tokens[:, :2], OWNER[[0, 2, 3]]))


@pytest.mark.parametrize("masked", [False, True])
def test_without_prompts_every_parameter_has_a_slope(masked: bool) -> None:
    made, prompts, tokens = _inputs()
    found = made(prompts[:0], tokens, OWNER[:0], torch.ones(3, 6, dtype=torch.bool) if masked else None)
    assert found.shape == (0, OUT)
    found.sum().backward()
    assert not [name for name, p in made.named_parameters() if p.grad is None]
