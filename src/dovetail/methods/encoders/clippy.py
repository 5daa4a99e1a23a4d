"""CLIPpy: an image's vector takes each of its numbers from the patch that has most of it, so that patches group.

Ranasinghe et al., "Perceptual Grouping in Contrastive Vision-Language Models", 2023.

    tokens = Transformer(W_p patches + positions);   pooled_k = max over patches of tokens_k

Shapes: images (b 3 s s) -> pooled (b d), tokens (b (s/p)^2 d). A number of the vector has a gradient in one patch
alone, and the model's map of the vectors maps the patches too: a patch is then compared with a text as a whole image
is. Confirmed against the public reimplementation of one of the authors: the maximum comes after the last norm and
before the map, and a class token takes no part in it. The code of the paper's own trainings is not public.

The paper begins with DINO's image tower and Sentence-T5: `--image "timm(name='vit_base_patch16_224.dino',
pretrained=True, repool='max')" --text hf_text:sentence-transformers/sentence-t5-base`; this file is the tower from
scratch. Differs from `vit` in the maximum, for which that has the mean.
"""

from dataclasses import replace
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import build, implements
from dovetail.contracts import Encoder, Features


@implements(Encoder)
class CLIPpy(nn.Module):
    """Vision transformer pooled by the maximum.

    Args:
        size: height and width of the images in pixels; a multiple of `patch`.
        patch: height and width of a patch in pixels.
        width: length of a token's vector.
        depth: number of blocks.
        heads: number of attention heads; divides `width`.
    """

    def __init__(self, size: int = 112, patch: int = 16, width: int = 256, depth: int = 6, heads: int = 4):
        super().__init__()
        self.size, self.patch, self.width, self.depth, self.heads = size, patch, width, depth, heads
        self.token_width = width
        self.tower: Any = build(f"vit({size}, {patch}, {width}, {depth}, {heads})", Encoder)

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Features:
        """Normalised pixels to one vector an image and one a patch."""
        found: Features = self.tower(x)
        assert found.tokens is not None
        return replace(found, pooled=found.tokens.amax(1))
