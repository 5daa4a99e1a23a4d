"""A dual encoder as the benchmarks see it: with tokens where its similarity looks at tokens."""

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from dovetail.contracts import Features
from dovetail.data.images import decode
from dovetail.data.records import ImageLike
from dovetail.models.dual_encoder import DualEncoder

BATCH = 64


class Embedder:
    """Features of pictures and texts in the shared space, and the similarity that the model was trained with."""

    def __init__(self, model: DualEncoder):
        self.model, self.similarity = model.eval(), model.alike

    @torch.inference_mode()
    def encode_image(self, images: Sequence[ImageLike]) -> Features:
        """Features of b pictures. Raises ImageProblem for one that cannot be read."""
        pixels = [self.model.preprocessing.evaluate(decode(image)) for image in images]
        parts = (torch.stack(pixels[i : i + BATCH]).to(self.model.device) for i in range(0, len(pixels), BATCH))
        return joined([self.model.image_features(part, self.similarity.tokens) for part in parts])

    @torch.inference_mode()
    def encode_text(self, texts: Sequence[str]) -> Features:
        """Features of t texts, in the order given; texts of similar length are encoded together."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        parts = []
        for i in range(0, len(order), 4 * BATCH):
            tokens = self.model.tokenizer([texts[j] for j in order[i : i + 4 * BATCH]]).to(self.model.device)
            parts.append(self.model.text_features(tokens, self.similarity.tokens))
        found = joined(parts)
        back = torch.empty(len(order), dtype=torch.long, device=found.pooled.device)
        back[torch.tensor(order, device=back.device)] = torch.arange(len(order), device=back.device)
        tokens_back = None if found.tokens is None else found.tokens[back]
        return Features(found.pooled[back], tokens_back, None if found.mask is None else found.mask[back], found.grid)


def joined(parts: Sequence[Features]) -> Features:
    """Features one after the other, tokens padded to the longest."""
    pooled = torch.cat([p.pooled for p in parts])
    if any(p.tokens is None for p in parts):
        return Features(pooled, grid=parts[0].grid)
    longest = max(p.tokens.shape[1] for p in parts if p.tokens is not None)
    tokens, masks = [], []
    for p in parts:
        assert p.tokens is not None
        mask = p.mask if p.mask is not None else p.tokens.new_ones(p.tokens.shape[:2]).bool()
        missing = longest - p.tokens.shape[1]
        tokens.append(F.pad(p.tokens, (0, 0, 0, missing)))
        masks.append(F.pad(mask, (0, missing)))
    return Features(pooled, torch.cat(tokens), torch.cat(masks), parts[0].grid)
