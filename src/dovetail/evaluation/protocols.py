"""A dual encoder where other programs expect a model of theirs: sentence-transformers' `encode`, and the encoder that
MTEB's benchmarks ask.

    SentenceModel(dovetail.load("runs/mine")).encode(["a cat", Image.open("cat.jpg")])
    mteb.evaluate(MTEBModel(dovetail.load("runs/mine")), tasks)

Muennighoff et al., "MTEB: Massive Text Embedding Benchmark", 2023; for images Xiao et al., "MIEB: Massive Image
Embedding Benchmark", 2025. Neither library is needed here. All vectors have unit length: a dot product is a cosine.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dovetail.data.records import ImageLike
from dovetail.models.dual_encoder import DualEncoder
from dovetail.ops.similarity import cosine, normalize

Vectors = np.ndarray | Tensor


class SentenceModel:
    """A model as code written for sentence-transformers uses one: a text is a `str`, all else is a picture."""

    def __init__(self, model: DualEncoder):
        self.model = model

    @property
    def device(self) -> torch.device:
        """Where the model's parameters lie."""
        return self.model.device

    @property
    def max_seq_length(self) -> int:
        """How many tokens of a text are read."""
        return self.model.tokenizer.context

    def encode(
        self,
        sentences: str | ImageLike | Sequence[str | ImageLike],
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        normalize_embeddings: bool = True,
    ) -> Any:
        """Vectors (n d) of texts and pictures, in their order; (d) of one alone.

        An array; a tensor on the model's device with `convert_to_tensor`; a list of tensors with neither. The vectors
        have unit length whether `normalize_embeddings` asks for it or not: no other comparison has been trained.
        """
        alone = isinstance(sentences, str | ImageLike)
        listed = [sentences] if isinstance(sentences, str | ImageLike) else list(sentences)
        found = self._vectors(listed, batch_size, bool(show_progress_bar))
        result: Any = found[0] if alone else found
        if convert_to_tensor:
            return result
        return result.cpu().numpy() if convert_to_numpy else list(result) if not alone else result

    encode_query = encode_document = encode  # one tower reads all texts, without prompts

    def get_embedding_dimension(self) -> int:
        """Length of the vectors."""
        return self.model.embed_dim

    get_sentence_embedding_dimension = get_embedding_dimension  # as it was called before version 6

    def similarity(self, embeddings1: Vectors, embeddings2: Vectors) -> Float[Tensor, "n m"]:
        """The cosine of every vector of one side with every one of the other."""
        return cosine(_rows(embeddings1), _rows(embeddings2))

    def similarity_pairwise(self, embeddings1: Vectors, embeddings2: Vectors) -> Float[Tensor, " n"]:
        """The cosine of each vector with its counterpart."""
        return (normalize(_rows(embeddings1)) * normalize(_rows(embeddings2))).sum(-1)

    def _vectors(self, listed: list[Any], batch_size: int, progress: bool) -> Float[Tensor, "n d"]:
        texts = [i for i, item in enumerate(listed) if isinstance(item, str)]
        others = [i for i, item in enumerate(listed) if not isinstance(item, str)]
        out = torch.empty(len(listed), self.model.embed_dim, device=self.device)
        if texts:
            words = self.model.encode_text([listed[i] for i in texts], batch_size, "torch", progress)
            out[texts] = torch.as_tensor(words, dtype=out.dtype)
        if others:
            pictures = self.model.encode_image([listed[i] for i in others], batch_size, "torch", progress)
            out[others] = pictures.to(out.dtype)
        return out


class MTEBModel:
    """A model as MTEB asks one: batches of named columns, of which `text` and `image` are read.

    An item with both is the sum of its two vectors, scaled to unit length again. name, revision: what MTEB files the
    results under.
    """

    def __init__(self, model: DualEncoder, name: str = "dovetail/model", revision: str = "unknown"):
        self.model, self.name, self.revision = model, name, revision

    @property
    def mteb_model_meta(self) -> Any:
        """MTEB's record of the model, which says that it reads images too. Raises ImportError where MTEB is not
        installed."""
        from mteb.models.model_meta import ModelMeta

        known = {
            "name": self.name,
            "revision": self.revision,
            "modalities": ["text", "image"],
            "framework": ["PyTorch"],
            "embed_dim": self.model.embed_dim,
            "max_tokens": self.model.tokenizer.context,
            "n_parameters": sum(p.numel() for p in self.model.parameters()),
        }
        return ModelMeta.create_empty(known)

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: Any = None,
        hf_split: str = "",
        hf_subset: str = "",
        prompt_type: Any = None,
        **encode_kwargs: Any,
    ) -> Float[np.ndarray, "n d"]:
        """Vectors (n d) of the items of all batches, read once. What the items are for makes no difference here.

        Raises ValueError for a batch that has neither texts nor images.
        """
        batch_size = int(encode_kwargs.get("batch_size", 64))
        return self._joined(self._fused(batch, batch_size) for batch in inputs)

    def get_text_embeddings(self, texts: Any, batch_size: int = 64, **others: Any) -> Float[np.ndarray, "n d"]:
        """Vectors of texts: a list of them, or batches with a column `text`."""
        return self._joined(self._texts(part, batch_size) for part in _parts(texts, "text"))

    def get_image_embeddings(self, images: Any, batch_size: int = 64, **others: Any) -> Float[np.ndarray, "n d"]:
        """Vectors of pictures: a list of them, or batches with a column `image`, or batches of pictures alone."""
        return self._joined(self._images(part, batch_size) for part in _parts(images, "image"))

    def get_fused_embeddings(
        self, texts: Any = None, images: Any = None, batch_size: int = 64, **others: Any
    ) -> Float[np.ndarray, "n d"]:
        """Vectors of items that have a text, an image or both. Raises ValueError when there is neither, or not as many
        of one as of the other."""
        found = [] if texts is None else [self.get_text_embeddings(texts, batch_size)]
        return _sum(found + ([] if images is None else [self.get_image_embeddings(images, batch_size)]))

    def similarity(self, embeddings1: Vectors, embeddings2: Vectors) -> Float[Tensor, "n m"]:
        """The cosine of every vector of one side with every one of the other."""
        return cosine(_rows(embeddings1), _rows(embeddings2))

    def similarity_pairwise(self, embeddings1: Vectors, embeddings2: Vectors) -> Float[Tensor, " n"]:
        """The cosine of each vector with its counterpart."""
        return (normalize(_rows(embeddings1)) * normalize(_rows(embeddings2))).sum(-1)

    def _fused(self, batch: Mapping[str, Any], batch_size: int) -> Float[np.ndarray, "n d"]:
        found = [self._texts(batch["text"], batch_size)] if "text" in batch else []
        return _sum(found + ([self._images(batch["image"], batch_size)] if "image" in batch else []))

    def _texts(self, texts: Any, batch_size: int) -> Float[np.ndarray, "n d"]:
        return np.asarray(self.model.encode_text(list(texts), batch_size))

    def _images(self, images: Any, batch_size: int) -> Float[np.ndarray, "n d"]:
        return self.model.encode_image(list(images), batch_size)

    def _joined(self, parts: Iterable[np.ndarray]) -> Float[np.ndarray, "n d"]:
        found = list(parts)
        return np.concatenate(found) if found else np.empty((0, self.model.embed_dim), np.float32)


def _parts(given: Any, column: str) -> Iterator[Any]:
    """Batches as they come, of a list the list itself."""
    if isinstance(given, list | tuple):
        yield given
        return
    for batch in given:
        yield batch[column] if isinstance(batch, Mapping) else batch


def _sum(found: list[np.ndarray]) -> Float[np.ndarray, "n d"]:
    if not found:
        raise ValueError("neither texts nor images: this model reads no other columns than `text` and `image`")
    if len({len(vectors) for vectors in found}) > 1:
        raise ValueError(f"{len(found[0])} texts and {len(found[1])} images make no pairs")
    return found[0] if len(found) == 1 else normalize(torch.from_numpy(found[0] + found[1])).numpy()


def _rows(vectors: Vectors) -> Float[Tensor, "n d"]:
    """As a tensor of rows; one vector alone is one row."""
    found = vectors if isinstance(vectors, Tensor) else torch.from_numpy(np.asarray(vectors))
    return found[None] if found.ndim == 1 else found
