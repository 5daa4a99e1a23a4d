"""A dual encoder as the benchmarks see it: with tokens where its similarity looks at tokens."""

from collections.abc import Sequence

import torch

from dovetail.contracts import Features
from dovetail.data.images import decode
from dovetail.data.records import ImageLike
from dovetail.models.dual_encoder import DualEncoder
from dovetail.ops.features import joined, take

BATCH = 64


class Embedder:
    """Features of pictures and texts in the shared space, and the similarity that the model was trained with."""

    def __init__(self, model: DualEncoder):
        self.model, self.similarity = model.eval(), model.alike
        self.senses = tuple(model.senses)

    @torch.inference_mode()
    def encode_image(self, images: Sequence[ImageLike]) -> Features:
        """Features of b pictures. Raises ImageProblem for one that cannot be read."""
        return self._images(images, self.similarity.tokens)

    @torch.inference_mode()
    def encode_patches(self, images: Sequence[ImageLike]) -> Features:
        """Features of b pictures and of each of their patches. Raises ImageProblem for one that cannot be read, and
        ValueError for an image tower whose patches the map into the shared space does not fit."""
        return self._images(images, True)

    @torch.inference_mode()
    def encode_sense(self, sense: str, items: Sequence[Sequence[ImageLike]]) -> Features:
        """Features of what one of `senses` saw. Raises ImageProblem for a frame that cannot be read."""
        return Features(torch.as_tensor(self.model.encode_sense(sense, items, output="torch")))

    @torch.inference_mode()
    def encode_text(self, texts: Sequence[str]) -> Features:
        """Features of t texts, in the order given; texts of similar length are encoded together."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        parts = []
        for i in range(0, len(order), 4 * BATCH):
            tokens = self.model.tokenizer([texts[j] for j in order[i : i + 4 * BATCH]]).to(self.model.device)
            parts.append(self.model.text_features(tokens, self.similarity.tokens))
        back = torch.empty(len(order), dtype=torch.long)
        back[torch.tensor(order)] = torch.arange(len(order))
        return take(joined(parts), back)

    def _images(self, images: Sequence[ImageLike], tokens: bool) -> Features:
        pixels = [self.model.preprocessing.evaluate(decode(image)) for image in images]
        parts = (torch.stack(pixels[i : i + BATCH]).to(self.model.device) for i in range(0, len(pixels), BATCH))
        return joined([self.model.image_features(part, tokens) for part in parts])
