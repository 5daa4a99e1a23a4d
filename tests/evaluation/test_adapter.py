"""A dual encoder as the benchmarks see it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dovetail.contracts import Features
from dovetail.data.images import ImageProblem
from dovetail.evaluation.adapter import BATCH, Embedder
from dovetail.models.dual_encoder import DualEncoder
from dovetail.ops.similarity import compare
from tests import runs
from tests.evaluation.similarities import LateInteraction

PIXELS = np.random.default_rng(0).integers(0, 256, (BATCH + 6, 20, 24, 3), dtype=np.uint8)
LONG = "a much longer caption about a grey square on the left"
SENTENCES = [LONG if i % 7 == 3 else f"square {i}" for i in range(30)]


class _Tokens(nn.Module):
    """Late interaction as a part of a model."""

    symmetric = False
    tokens = True

    def __init__(self) -> None:
        super().__init__()
        self.inner = LateInteraction()

    def prepare(self, features: Features) -> Features:
        return features

    def scores(self, rows: Features, cols: Features) -> Tensor:
        return self.inner.scores(rows, cols)


def test_embeddings_are_those_of_the_model_up_to_their_length() -> None:
    model = runs.model().train()
    embedder = Embedder(model)
    assert not model.training and embedder.similarity is model.alike
    images, texts = embedder.encode_image(list(PIXELS)), embedder.encode_text(SENTENCES)
    assert images.pooled.shape == (BATCH + 6, 16) and images.tokens is None and texts.tokens is None
    unit = torch.nn.functional.normalize(images.pooled, dim=1).numpy()
    np.testing.assert_allclose(unit, model.encode_image(list(PIXELS)), atol=1e-5)
    scores = compare(embedder.similarity, images, texts).numpy()
    expected = model.similarity(model.encode_image(list(PIXELS)), model.encode_text(SENTENCES))
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_texts_come_back_in_their_own_order() -> None:
    model = runs.model()
    together = Embedder(model).encode_text(SENTENCES).pooled
    for i, sentence in enumerate(SENTENCES):
        torch.testing.assert_close(together[i], Embedder(model).encode_text([sentence]).pooled[0], atol=1e-5, rtol=1e-4)


def test_tokens_are_there_where_the_similarity_looks_at_them() -> None:
    whole = runs.model()
    model = DualEncoder(whole.image, whole.text, 16, whole.preprocessing, whole.tokenizer, _Tokens())
    embedder = Embedder(model)
    images, texts = embedder.encode_image(list(PIXELS[:3])), embedder.encode_text(SENTENCES)
    assert images.tokens is not None and images.tokens.shape == (3, 4, 16)
    assert texts.tokens is not None and texts.mask is not None
    for i in (0, 3, 29):
        alone = embedder.encode_text([SENTENCES[i]])
        assert alone.tokens is not None
        length = alone.tokens.shape[1]
        assert texts.mask[i].tolist() == [True] * length + [False] * (texts.mask.shape[1] - length)
        torch.testing.assert_close(texts.tokens[i, :length], alone.tokens[0], atol=1e-5, rtol=1e-4)


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageProblem, match=r"b.jpg: missing image"):
        Embedder(runs.model()).encode_image([PIXELS[0], tmp_path / "b.jpg"])
