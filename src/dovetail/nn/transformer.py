"""A pre-norm transformer over sets of tokens that does no work on padding.

Vaswani et al., "Attention Is All You Need", 2017; the norm before each branch as in Xiong et al., "On Layer
Normalization in the Transformer Architecture", 2020:

    x <- x + Attention(Norm(x));   x <- x + MLP(Norm(x)),   MLP = W2 GELU(W1 x)

Each branch may carry a learnt factor for every dimension: Touvron et al., "Going deeper with Image Transformers", 2021.

Tokens travel flat, (m d), without the padding; a Layout knows where each one lies in the padded frame (b n), in which
attention alone is computed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from dovetail.ops.attention import attend


@dataclass(frozen=True)
class Layout:
    """Where m flat tokens lie in a frame of b items with n places each, and which of an item's tokens each one sees.

    index None: every place is taken, in order. causal: a token sees itself and those before it, not all. mask: which
    places others may see; None: all.
    """

    b: int
    n: int
    index: Int[Tensor, " m"] | None = None
    mask: Bool[Tensor, "b n"] | None = None
    causal: bool = False

    @staticmethod
    def of(mask: Bool[Tensor, "b n"], causal: bool = False) -> "Layout":
        """The layout of the places where `mask` is True. causal: the padding must come last, where none sees it."""
        b, n = mask.shape
        if torch.compiler.is_exporting():  # an exported graph has no shapes that depend on what is read: padding stays
            return Layout(b, n, None, None if causal else mask, causal)
        return Layout(b, n, mask.flatten().nonzero()[:, 0], None if causal else mask, causal)

    def spread(self, flat: Float[Tensor, "m d"]) -> Float[Tensor, "b n d"]:
        """The tokens in their frame, zeros in the padding."""
        if self.index is not None:
            flat = flat.new_zeros(self.b * self.n, flat.shape[1]).index_copy(0, self.index, flat)
        return flat.view(self.b, self.n, flat.shape[1])

    def pack(self, frame: Shaped[Tensor, "b n d"]) -> Shaped[Tensor, "m d"]:
        """The tokens (or their ids) of a frame without the padding."""
        flat = frame.flatten(0, 1)
        return flat if self.index is None else flat.index_select(0, self.index)


Activation = Callable[[Tensor], Tensor]


def quick_gelu(x: Tensor) -> Tensor:
    """The approximation of the GELU that OpenAI trained CLIP with: x sigmoid(1.702 x)."""
    return x * torch.sigmoid(1.702 * x)


ACTIVATIONS: dict[str, Activation] = {
    "gelu": nn.functional.gelu,
    "gelu_tanh": partial(nn.functional.gelu, approximate="tanh"),
    "quick_gelu": quick_gelu,
}


def activation_named(name: str) -> Activation:
    """One of ACTIVATIONS. Raises ValueError for another name."""
    if name not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, not {name!r}")
    return ACTIVATIONS[name]


class LayerScale(nn.Module):
    """A factor for every dimension, which starts at `value`."""

    def __init__(self, width: int, value: float):
        super().__init__()
        self.factors = nn.Parameter(torch.full((width,), value))

    def forward(self, x: Float[Tensor, "... d"]) -> Float[Tensor, "... d"]:
        return x * self.factors


class Block(nn.Module):
    """Self-attention and a two-layer perceptron, each added to what came in; layer_scale: where their factors start,
    None for no factors."""

    def __init__(
        self,
        width: int,
        heads: int,
        mlp_ratio: float = 4.0,
        activation: Activation = nn.functional.gelu,
        eps: float = 1e-5,
        layer_scale: float | None = None,
    ):
        super().__init__()
        self.heads, self.activation = heads, activation
        hidden = round(width * mlp_ratio)
        self.norm_attention = nn.LayerNorm(width, eps)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width, eps)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)
        self.scale_attention, self.scale_mlp = (
            nn.Identity() if layer_scale is None else LayerScale(width, layer_scale) for _ in range(2)
        )

    def forward(self, x: Float[Tensor, "m d"], layout: Layout) -> Float[Tensor, "m d"]:
        x = x + self.scale_attention(self.out(self._attend(self.qkv(self.norm_attention(x)), layout)))
        return x + self.scale_mlp(self.down(self.activation(self.up(self.norm_mlp(x)))))

    def _attend(self, qkv: Tensor, layout: Layout) -> Tensor:
        q, k, v = layout.spread(qkv).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return layout.pack(attend(q, k, v, layout.mask, layout.causal).transpose(1, 2).flatten(2))


class Transformer(nn.Module):
    """`depth` blocks and a last norm. Residual branches start small with depth, as in GPT-2."""

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        mlp_ratio: float = 4.0,
        activation: Activation = nn.functional.gelu,
        eps: float = 1e-5,
        layer_scale: float | None = None,
    ):
        super().__init__()
        blocks = [Block(width, heads, mlp_ratio, activation, eps, layer_scale) for _ in range(depth)]
        self.blocks = nn.ModuleList(blocks)
        self.norm: nn.Module = nn.LayerNorm(width, eps)
        for block in blocks:
            for linear in (block.qkv, block.up):
                nn.init.normal_(linear.weight, std=width**-0.5)
                nn.init.zeros_(linear.bias)
            for linear in (block.out, block.down):
                nn.init.normal_(linear.weight, std=(linear.in_features * 2 * depth) ** -0.5)
                nn.init.zeros_(linear.bias)

    def forward(self, x: Float[Tensor, "m d"], layout: Layout) -> Float[Tensor, "m d"]:
        for block in self.blocks:
            x = block(x, layout)
        return self.norm(x)


def mean_pool(tokens: Float[Tensor, "b n d"], mask: Bool[Tensor, "b n"] | None = None) -> Float[Tensor, "b d"]:
    """The mean of each item's real tokens (zero for an item without any)."""
    if mask is None:
        return tokens.mean(1)
    weights = mask.to(tokens.dtype)[..., None]
    return (tokens * weights).sum(1) / weights.sum(1).clamp_min(1)


def last_token(tokens: Float[Tensor, "b n d"], mask: Bool[Tensor, "b n"]) -> Float[Tensor, "b d"]:
    """The last real token of each item, whose padding is on the right."""
    last = mask.sum(1) - 1
    return tokens[torch.arange(len(last), device=last.device), last]


def flat_positions(layout: Layout, table: Float[Tensor, "n d"]) -> Float[Tensor, "m d"]:
    """The positional embedding of every flat token."""
    if layout.index is None:
        return table[: layout.n].repeat(layout.b, 1)
    return table.index_select(0, layout.index % layout.n)
