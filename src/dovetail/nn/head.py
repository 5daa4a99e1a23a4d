"""What follows a tower's pooled vector inside of the tower: a hidden layer, a linear map, both or nothing.

Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", 2020:

    W2 GELU(W1 x + b1) + b2
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn


class Head(nn.Module):
    """A map of vectors of `width` numbers.

    Args:
        width: length of the vectors that come in.
        out: how many numbers the last linear map gives, and whether it has a bias; None: there is no such map.
        hidden: length of a hidden layer before it, with a GELU; None: there is none.
        hidden_bias: whether the hidden layer has a bias.
    """

    def __init__(
        self, width: int, out: Sequence[int] | None = None, hidden: int | None = None, hidden_bias: bool = True
    ):
        super().__init__()
        inner = hidden or width
        self.width = inner if out is None else int(out[0])
        self.up = None if hidden is None else nn.Linear(width, hidden, bias=hidden_bias)
        self.map = None if out is None else nn.Linear(inner, self.width, bias=bool(out[1]))

    def forward(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b e"]:
        if self.up is not None:
            x = nn.functional.gelu(self.up(x))
        return x if self.map is None else self.map(x)
