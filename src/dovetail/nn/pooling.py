"""Attention pooling: a learnt query gathers a set of tokens into one vector.

Lee et al., "Set Transformer: A Framework for Attention-based Permutation-Invariant Neural Networks", 2019; as in Zhai
et al., "Scaling Vision Transformers", 2022:

    z = Attention(query, tokens, tokens);   pooled = z + MLP(Norm(z))
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.nn.transformer import Activation
from dovetail.ops.attention import attend


class AttentionPooling(nn.Module):
    """One query for all images, then a two-layer perceptron that is added to what the query found.

    Args:
        width: length of a token's vector and of the pooled one.
        heads: number of attention heads; divides `width`.
        mlp_ratio: width of the hidden layer, over `width`.
        activation: of the hidden layer.
        eps: of the norm.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        mlp_ratio: float = 4.0,
        activation: Activation = nn.functional.gelu,
        eps: float = 1e-6,
    ):
        super().__init__()
        self.heads, self.activation = heads, activation
        hidden = round(width * mlp_ratio)
        self.probe = nn.Parameter(torch.randn(width) * width**-0.5)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b d"]:
        """The pooled vector of each item's tokens."""
        q = self.query(self.probe).view(1, self.heads, 1, -1).expand(tokens.shape[0], -1, -1, -1)
        k, v = self.key_value(tokens).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        z = self.out(attend(q, k, v).flatten(1))
        return z + self.down(self.activation(self.up(self.norm(z))))
