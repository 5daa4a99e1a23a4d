"""Two towers that meet in one space: the model behind retrieval, search and zero-shot classification."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, overload

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from dovetail.contracts import Encoder, Features, Similarity, Tokens
from dovetail.data.images import decode
from dovetail.data.preprocessing import Preprocessing
from dovetail.data.records import ImageLike
from dovetail.data.senses import FAR
from dovetail.data.text import Tokenizer
from dovetail.models.embedding import joined, pieces
from dovetail.ops.similarity import cosine, normalize

MAX_SCALE = 100.0  # CLIP's bound on the learnt scale, without which training can run away; a greater one may go on


@dataclass(frozen=True)
class Classified:
    """How probable each label is for each image: `probabilities` (b k), each row in the order of `labels`."""

    labels: tuple[str, ...]
    probabilities: Float[np.ndarray, "b k"]

    @property
    def best(self) -> list[str]:
        """The most probable label of each image."""
        return [self.labels[i] for i in self.probabilities.argmax(1)]


class DualEncoder(nn.Module):
    """An image tower and a text tower, each with a linear map into a shared space of `embed_dim` numbers.

    Args:
        image: the image tower.
        text: the text tower.
        embed_dim: length of the embeddings; None: no linear maps, the towers' own vectors share a space (SigLIP).
        preprocessing: how a picture becomes the tower's pixels.
        tokenizer: how a text becomes the tower's tokens.
        similarity: how alike an image and a text are; the one it is trained with.
        scale: initial factor on the similarity.
        bias: initial addition to the scores; None for no bias.
    """

    def __init__(
        self,
        image: Encoder,
        text: Encoder,
        embed_dim: int | None,
        preprocessing: Preprocessing,
        tokenizer: Tokenizer,
        similarity: Similarity,
        scale: float = 1 / 0.07,
        bias: float | None = None,
    ):
        super().__init__()
        self.image, self.text = image, text
        if embed_dim is None and image.width != text.width:
            raise ValueError(f"vectors of {image.width} and {text.width} numbers share no space: give an embed_dim")
        self.projected, self.embed_dim = embed_dim is not None, image.width if embed_dim is None else embed_dim
        self.preprocessing, self.tokenizer, self.alike = preprocessing, tokenizer, similarity
        self.image_projection, self.text_projection = (
            nn.Identity() if embed_dim is None else nn.Linear(tower.width, embed_dim, bias=False)
            for tower in (image, text)
        )
        if similarity.tokens:
            self.image_token_projection = nn.Linear(image.token_width, self.embed_dim, bias=False)
            self.text_token_projection = nn.Linear(text.token_width, self.embed_dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))
        self.bias = None if bias is None else nn.Parameter(torch.tensor(float(bias)))
        self.max_scale = max(MAX_SCALE, scale)
        self.senses = nn.ModuleDict()  # by name, the towers of further sensors (`nn.frames`) that were bound to images

    @property
    def device(self) -> torch.device:
        """Where the model's parameters lie."""
        return self.log_scale.device

    @property
    def scale(self) -> Float[Tensor, ""]:
        """The learnt factor on the similarity (inverse temperature)."""
        return self.log_scale.exp()

    @torch.no_grad()
    def clamp_scale(self) -> None:
        """Keeps the scale within 1 and `max_scale`; called after each optimiser step."""
        self.log_scale.clamp_(0, math.log(self.max_scale))

    def image_features(self, images: Tensor, tokens: bool = False) -> Features:
        """Images (b 3 h w), bytes or normalised floats, in the shared space; with their tokens when asked."""
        if images.dtype == torch.uint8:
            images = self.preprocessing.normalise(images)
        found = self.image(images)
        projected = self._token_projection("image")(found.tokens) if tokens else None
        return Features(self.image_projection(found.pooled), projected, found.mask if tokens else None, found.grid)

    def text_features(self, texts: Tokens, tokens: bool = False) -> Features:
        """Texts in the shared space; with their tokens when asked."""
        found = self.text(texts)
        projected = self._token_projection("text")(found.tokens) if tokens else None
        return Features(self.text_projection(found.pooled), projected, found.mask if tokens else None)

    def sense_features(self, sense: str, frames: Tensor) -> Float[Tensor, "m d"]:
        """What a sensor that was bound to images saw, (m f c h w), in the shared space. Bytes, or floats: pixels as
        `preprocessing` normalises them, depth in 0..1. Raises ValueError for one that was not bound."""
        if sense not in self.senses:
            raise ValueError(f"this model knows nothing of {sense}; of further senses it has {list(self.senses)}")
        if frames.dtype == torch.uint8:
            flat = frames.flatten(0, 1)
            x = self.preprocessing.normalise(flat) if frames.shape[2] == 3 else flat.float() / 255
            frames = x.unflatten(0, frames.shape[:2])
        found: Tensor = self.senses[sense](frames)
        return found

    def _token_projection(self, side: str) -> Any:
        """The map of one tower's tokens: their own where the similarity reads tokens, else that of its vectors."""
        tower, shared = getattr(self, side), getattr(self, f"{side}_projection")
        own = getattr(self, f"{side}_token_projection", None)
        if own is None and tower.token_width != tower.width:
            raise ValueError(f"the {side} tower's tokens have {tower.token_width} numbers, its vectors {tower.width}")
        return shared if own is None else own

    @overload
    def encode_image(
        self, images: Any, batch_size: int = 64, output: Literal["numpy"] = "numpy", progress: bool = False
    ) -> np.ndarray: ...
    @overload
    def encode_image(
        self, images: Any, batch_size: int, output: Literal["torch"], progress: bool = False
    ) -> Tensor: ...
    @overload
    def encode_image(self, images: Any, *, output: Literal["torch"], progress: bool = False) -> Tensor: ...

    def encode_image(
        self,
        images: ImageLike | str | Tensor | Sequence[ImageLike | str | Tensor],
        batch_size: int = 64,
        output: Literal["numpy", "torch"] = "numpy",
        progress: bool = False,
    ) -> np.ndarray | Tensor:
        """Embeddings of unit length, (n embed_dim), of pictures, paths, arrays or tensors (one alone gives one row).

        output: "numpy" (on the CPU) or "torch" (on the model's device). Raises DataError for a picture that cannot be
        read.
        """
        alone = isinstance(images, ImageLike | str | Tensor) and not _is_stack(images)
        listed: list[Any] = [images] if alone else list(cast(Sequence[Any], images))

        def encode(part: Sequence[Any]) -> Tensor:
            pixels = torch.stack([self.preprocessing.evaluate(decode(image)) for image in part])
            return normalize(self.image_features(pixels.to(self.device)).pooled)

        return self._encoded(listed, encode, batch_size, output, "images" if progress else None)

    def encode_text(
        self,
        texts: str | Sequence[str],
        batch_size: int = 256,
        output: Literal["numpy", "torch"] = "numpy",
        progress: bool = False,
    ) -> np.ndarray | Tensor:
        """Embeddings of unit length, (n embed_dim), of texts (one alone gives one row). output: see `encode_image`."""
        listed = [texts] if isinstance(texts, str) else list(texts)
        for i, text in enumerate(listed):
            if not isinstance(text, str):
                raise TypeError(f"text {i} is {type(text).__name__}, not str: {text!r}")

        def encode(part: Sequence[str]) -> Tensor:
            return normalize(self.text_features(self.tokenizer(part).to(self.device)).pooled)

        return self._encoded(listed, encode, batch_size, output, "texts" if progress else None)

    def encode_sense(
        self,
        sense: str,
        items: Sequence[Sequence[ImageLike]],
        batch_size: int = 64,
        output: Literal["numpy", "torch"] = "numpy",
        progress: bool = False,
    ) -> np.ndarray | Tensor:
        """Embeddings of unit length, (n embed_dim), of what a bound sensor saw: the frames of each item, one for depth.

        output: see `encode_image`. Raises DataError for a frame that cannot be read.
        """

        def encode(part: Sequence[Sequence[ImageLike]]) -> Tensor:
            tower: Any = self.senses[sense]
            channels: int = tower.channels
            how = self.preprocessing if channels == 3 else replace(self.preprocessing, ground=FAR)
            seen = [torch.stack([how.evaluate(decode(frame)) for frame in item]) for item in part]
            frames = torch.stack(seen)[:, :, :channels].to(self.device)
            return normalize(self.sense_features(sense, frames))

        return self._encoded(list(items), encode, batch_size, output, sense if progress else None)

    def similarity(self, a: Any, b: Any) -> np.ndarray | Tensor:
        """The cosine of every row of `a` (n d) with every row of `b` (m d), as (n m), of the kind that came in."""
        if isinstance(a, Tensor) and isinstance(b, Tensor):
            return cosine(a, b.to(a.device))
        return cosine(torch.as_tensor(np.asarray(a)), torch.as_tensor(np.asarray(b))).numpy()

    def classify(
        self, images: Any, labels: Sequence[str], templates: Sequence[str] = ("a photo of a {}.",), batch_size: int = 64
    ) -> Classified:
        """Zero-shot classification: each label becomes the mean embedding of its sentences, `templates` filled with it.

        The probabilities are a softmax over the labels, or one sigmoid per label for a model with a bias (SigLIP).
        """
        if not labels:
            raise ValueError("no labels: name at least one class")
        pictures = self.encode_image(images, batch_size, "torch")
        sentences = [t.format(label) for label in labels for t in templates]
        words = self.encode_text(sentences, output="torch")
        assert isinstance(words, Tensor)
        classes = normalize(words.unflatten(0, (len(labels), len(templates))).mean(1))
        with torch.no_grad():
            scores = self.scale * pictures @ classes.T
            chances = scores.softmax(1) if self.bias is None else (scores + self.bias).sigmoid()
        return Classified(tuple(labels), chances.cpu().numpy())

    @torch.no_grad()
    def _encoded(
        self, items: list[Any], encode: Any, batch_size: int, output: str, title: str | None
    ) -> np.ndarray | Tensor:
        training = self.training
        self.eval()
        try:
            found = joined([encode(part) for part in pieces(items, batch_size, title)], self.embed_dim, self.device)
        finally:
            self.train(training)
        return found if output == "torch" else found.cpu().numpy()


def _is_stack(images: Any) -> bool:
    return isinstance(images, np.ndarray | Tensor) and images.ndim == 4
