"""The models that other programs expect: their protocols as written, and the programs themselves where they are
installed."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from dovetail.evaluation.protocols import MTEBModel, SentenceModel
from dovetail.models.dual_encoder import DualEncoder
from tests.models.small import TEXTS, model, pictures


@pytest.fixture(scope="module")
def ours() -> DualEncoder:
    torch.manual_seed(0)
    return model()


def test_sentences_and_pictures_in_one_list(ours: DualEncoder) -> None:
    images = pictures(2)
    found = SentenceModel(ours).encode([TEXTS[0], images[0], images[1], TEXTS[1]], batch_size=2)
    assert isinstance(found, np.ndarray) and found.shape == (4, 12) and found.dtype == np.float32
    np.testing.assert_allclose(found[[0, 3]], ours.encode_text(TEXTS[:2]), atol=1e-6)
    np.testing.assert_allclose(found[1:3], ours.encode_image(images), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_one_alone_is_a_vector(ours: DualEncoder) -> None:
    wrapped = SentenceModel(ours)
    assert wrapped.encode("a dog").shape == wrapped.encode(pictures(1)[0]).shape == (12,)
    assert wrapped.encode([]).shape == (0, 12)


def test_of_the_kind_that_is_asked_for(ours: DualEncoder) -> None:
    wrapped = SentenceModel(ours)
    as_tensor, as_list = wrapped.encode(TEXTS, convert_to_tensor=True), wrapped.encode(TEXTS, convert_to_numpy=False)
    assert isinstance(as_tensor, torch.Tensor) and isinstance(as_list, list) and len(as_list) == len(TEXTS)
    assert torch.equal(torch.stack(as_list), as_tensor)
    plain = wrapped.encode(TEXTS, show_progress_bar=False, normalize_embeddings=False)
    assert np.array_equal(plain, as_tensor.numpy())
    assert wrapped.get_sentence_embedding_dimension() == 12 and wrapped.max_seq_length == 32
    assert wrapped.device == torch.device("cpu")


@pytest.mark.parametrize("kind", [SentenceModel, MTEBModel])
def test_similarities_are_cosines(ours: DualEncoder, kind: Any) -> None:
    a, b = torch.randn(3, 12), torch.randn(3, 12)
    whole = kind(ours).similarity(a, b.numpy())
    expected = torch.nn.functional.cosine_similarity(a[:, None], b[None], dim=-1)
    torch.testing.assert_close(whole, expected)
    torch.testing.assert_close(kind(ours).similarity_pairwise(a.numpy(), b), expected.diagonal())
    assert kind(ours).similarity(a[0], b).shape == (1, 3)


def _batches(columns: dict[str, list[Any]], size: int = 2) -> DataLoader[Any]:
    """A loader of batches of columns, as MTEB makes one."""
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def together(part: list[dict[str, Any]]) -> dict[str, list[Any]]:
        return {name: [row[name] for row in part] for name in columns}

    return DataLoader(rows, batch_size=size, collate_fn=together)  # type: ignore[arg-type]


def test_mteb_asks_for_texts_images_and_both(ours: DualEncoder) -> None:
    wrapped, images = MTEBModel(ours), pictures(3)
    asked: dict[str, Any] = {"task_metadata": None, "hf_split": "test", "hf_subset": "default"}
    texts = wrapped.encode(_batches({"id": ["1", "2", "3"], "text": TEXTS[:3]}), **asked, batch_size=2)
    seen = wrapped.encode(_batches({"image": images}), **asked, prompt_type="document", show_progress_bar=False)
    both = wrapped.encode(_batches({"text": TEXTS[:3], "image": images}), **asked)
    np.testing.assert_allclose(texts, ours.encode_text(TEXTS[:3]), atol=1e-6)
    np.testing.assert_allclose(seen, ours.encode_image(images), atol=1e-6)
    fused = texts + seen
    np.testing.assert_allclose(both, fused / np.linalg.norm(fused, axis=1, keepdims=True), atol=1e-6)
    assert wrapped.encode(_batches({"text": []}), **asked).shape == (0, 12)
    with pytest.raises(ValueError, match="neither texts nor images"):
        wrapped.encode(_batches({"audio": [1, 2]}), **asked)


def test_the_methods_of_older_code_read_lists_and_batches(ours: DualEncoder) -> None:
    wrapped, images = MTEBModel(ours), pictures(3)
    texts, seen = wrapped.get_text_embeddings(TEXTS[:3]), wrapped.get_image_embeddings(images, batch_size=2)
    assert np.allclose(texts, wrapped.get_text_embeddings(_batches({"text": TEXTS[:3]})), atol=1e-6)
    assert np.allclose(seen, wrapped.get_image_embeddings(_batches({"image": images})), atol=1e-6)
    listed: Iterator[Any] = iter([images[:2], images[2:]])
    assert np.allclose(seen, wrapped.get_image_embeddings(listed), atol=1e-6)
    fused = wrapped.get_fused_embeddings(TEXTS[:3], images, fusion_mode="sum")
    assert np.allclose(fused, wrapped.encode(_batches({"text": TEXTS[:3], "image": images})), atol=1e-6)
    assert np.array_equal(wrapped.get_fused_embeddings(texts=TEXTS[:3]), texts)
    with pytest.raises(ValueError, match="3 texts and 2 images make no pairs"):
        wrapped.get_fused_embeddings(TEXTS[:3], images[:2])
    with pytest.raises(ValueError, match="neither texts nor images"):
        wrapped.get_fused_embeddings()


def test_mteb_itself_takes_it(ours: DualEncoder) -> None:
    mteb = pytest.importorskip("mteb")
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    images = pictures(4)
    words = [TEXTS[0], TEXTS[1], TEXTS[2], TEXTS[3]]
    seen, asked = ours.encode_image(images), ours.encode_text(words)
    first = [int(i) for i in (asked @ seen.T).argmax(1)]  # the right answers are those that the model gives

    class Tiny(AbsTaskRetrieval):
        metadata = TaskMetadata(
            name="Tiny", description="four pictures", reference=None, type="Any2AnyRetrieval", category="t2i",
            modalities=["text", "image"], eval_splits=["test"], eval_langs=["eng-Latn"], main_score="ndcg_at_10",
            dataset={"path": "none", "revision": "1"}, date=None, domains=None, task_subtypes=None, license=None,
            annotations_creators=None, dialect=None, sample_creation=None, bibtex_citation="",
        )  # fmt: skip

        def load_data(self, *_: Any, **__: Any) -> None:
            part = {
                "corpus": Dataset.from_dict({"id": [f"image {i}" for i in range(4)], "image": images}),
                "queries": Dataset.from_dict({"id": [f"text {i}" for i in range(4)], "text": words}),
                "relevant_docs": {f"text {i}": {f"image {found}": 1} for i, found in enumerate(first)},
                "top_ranked": None,
            }
            self.dataset = {"default": {"test": part}}
            self.data_loaded = True

    wrapped = MTEBModel(ours)
    assert isinstance(wrapped, mteb.models.EncoderProtocol)
    found = mteb.evaluate(wrapped, Tiny(), cache=None)
    assert found.model_name == "dovetail/model"
    assert found.task_results[0].scores["test"][0]["ndcg_at_10"] == 1.0


def test_the_signature_is_that_of_sentence_transformers(ours: DualEncoder) -> None:
    library = pytest.importorskip("sentence_transformers")
    import inspect

    theirs = inspect.signature(library.SentenceTransformer.encode).parameters
    own = inspect.signature(SentenceModel.encode).parameters
    assert set(own) - {"self", "sentences"} <= set(theirs)
    names = ["similarity", "similarity_pairwise", "get_sentence_embedding_dimension", "device", "max_seq_length"]
    for name in [*names, "encode_query", "encode_document"]:
        assert hasattr(library.SentenceTransformer, name) and hasattr(SentenceModel, name)
