"""New parameters that are the same every time."""

import torch

from dovetail.nn.repeatable import repeatable


def test_what_is_drawn_within_depends_on_the_seed_alone_and_nothing_depends_on_it() -> None:
    def within(seed: int) -> torch.Tensor:
        with repeatable(seed):
            return torch.randn(3)

    torch.manual_seed(1)
    first, after = within(0), torch.randn(3)
    torch.manual_seed(1)
    assert torch.equal(torch.randn(3), after)
    assert torch.equal(within(0), first) and not torch.equal(within(1), first)
