"""Words that look at an image: blocks of cross-attention, each followed by a perceptron, after a text tower.

Vaswani et al., "Attention Is All You Need", 2017; the norm before each branch:

    x <- x + Attention(query: Norm(x), keys and values: seen);   x <- x + MLP(Norm(x))
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from dovetail.ops.attention import attend

HEAD = 64  # numbers that a head sees, or a few more


class FusionBlock(nn.Module):
    """Cross-attention and a two-layer perceptron, each added to what came in.

    Args:
        width: length of a word's vector.
        seen: length of a patch's vector.
        mlp_ratio: width of the hidden layer, over `width`.
    """

    def __init__(self, width: int, seen: int, mlp_ratio: float = 4.0):
        super().__init__()
        self.heads = next(h for h in range(max(1, width // HEAD), 0, -1) if width % h == 0)
        hidden = round(width * mlp_ratio)
        self.norm_words, self.norm_seen, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(seen), nn.LayerNorm(width)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(seen, 2 * width)
        self.out, self.up, self.down = nn.Linear(width, width), nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Float[Tensor, "t l d"], seen: Float[Tensor, "t n e"]) -> Float[Tensor, "t l d"]:
        """The words after a look at their image's patches."""
        q = self.query(self.norm_words(x)).unflatten(2, (self.heads, -1)).transpose(1, 2)
        k, v = self.key_value(self.norm_seen(seen)).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.out(attend(q, k, v).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm_mlp(x))))


class Fusion(nn.Module):
    """`depth` blocks, each of which looks at the image.

    Args:
        width: length of a word's vector.
        seen: length of a patch's vector.
        depth: number of blocks.
    """

    def __init__(self, width: int, seen: int, depth: int):
        super().__init__()
        self.blocks = nn.ModuleList(FusionBlock(width, seen) for _ in range(depth))

    def forward(self, x: Float[Tensor, "t l d"], seen: Float[Tensor, "t n e"]) -> Float[Tensor, "t l d"]:
        """The words after all blocks; padding is words like others, of which nothing is asked."""
        for block in self.blocks:
            x = block(x, seen)
        return x
