"""A light layer of attention that turns an image's tokens and a prompt into one vector: what the prompt points at.

Chen et al., "Contrastive Localized Language-Image Pre-Training", 2025:

    z = W mean(Norm(Block(prompt, tokens))),    one block of a transformer, of one head

The block is this package's pre-norm block.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from dovetail.nn.transformer import Block, Layout, mean_pool
from dovetail.ops.features import wide


class Prompter(nn.Module):
    """One block of attention over a prompt and the tokens of an image, and a linear map of their mean.

    Args:
        width: length of a token's vector, and of a prompt's.
        out: how many numbers it gives.
    """

    def __init__(self, width: int, out: int):
        super().__init__()
        self.block, self.norm = Block(width, heads=1), nn.LayerNorm(width)
        self.projection = nn.Linear(width, out, bias=False)

    def forward(
        self,
        prompts: Float[Tensor, "r p d"],
        tokens: Float[Tensor, "b n d"],
        owner: Int[Tensor, " r"],
        real: Bool[Tensor, "b n"] | None = None,
    ) -> Float[Tensor, "r e"]:
        """A vector for each prompt of p tokens about the image `owner`; real: which of the images' tokens are."""
        x = torch.cat([prompts, tokens[owner].to(prompts.dtype)], 1)
        mask = None
        if real is not None:
            mask = torch.cat([real.new_ones(prompts.shape[:2]), real[owner]], 1)
        layout = Layout(*x.shape[:2]) if mask is None else Layout.of(mask)
        seen = layout.spread(self.block(layout.pack(x), layout))
        with torch.autocast(x.device.type, enabled=False):  # sums over all tokens, too many for half precision
            found: Tensor = self.projection(mean_pool(self.norm(wide(seen)), mask))
        return found
