"""LLM2CLIP text: a language model, and residual blocks that bring its one vector a text to where images are.

Huang et al., "LLM2CLIP: Powerful Language Model Unlock Richer Visual Representation", 2024.

    x = unit(language model(text));   x <- x + W2 GELU(W1 Norm(x)),  n times;   Norm(x)

Shapes: ids (t l) -> pooled (t d), tokens (t l e), d and e those of the language model. Confirmed against the authors'
code: the unit vector, 4 blocks of twice the width, and the norm at the end; the linear map that follows them is the
dual encoder's own, here without their bias. ProCLIP's code has 1 block of 8 times the width. Their language model
attends in both directions (LLM2Vec); transformers' causal ones look back alone, so pool their `last` token or `mean`.

    --text "llm2clip_text(hf_text('FOLDER', pool='last'))"

Differs from `hf_text` with `hidden` in the residual blocks; the language model is to be frozen while they learn, as in
the schedules `llm2clip` and `proclip`.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from dovetail.catalogue import implements
from dovetail.contracts import Encoder, Features, Tokens
from dovetail.ops.similarity import normalize


class _Residual(nn.Module):
    def __init__(self, width: int, expansion: float):
        super().__init__()
        hidden = round(expansion * width)
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Float[Tensor, "t d"]) -> Float[Tensor, "t d"]:
        return x + self.down(nn.functional.gelu(self.up(self.norm(x))))


@implements(Encoder)
class LLM2CLIPText(nn.Module):
    """A text tower that ends in an adapter.

    Args:
        language: the language model, any text tower; it brings its tokenizer.
        blocks: how many residual blocks.
        expansion: width of a block's hidden layer, over the width.
    """

    def __init__(self, language: Encoder, blocks: int = 4, expansion: float = 2.0):
        super().__init__()
        tower: Any = language
        self.language, self.blocks, self.expansion = tower, blocks, expansion
        self.origin, self.vocabulary = getattr(tower, "origin", None), tower.vocabulary
        self.width, self.token_width = tower.width, tower.token_width
        layers = [_Residual(self.width, expansion) for _ in range(blocks)]
        self.adapter = nn.Sequential(*layers, nn.LayerNorm(self.width))

    def forward(self, x: Tokens) -> Features:
        """Token ids to one adapted vector a text, and the language model's own a token."""
        found = self.language(x)
        return Features(self.adapter(normalize(found.pooled)), found.tokens, found.mask)
