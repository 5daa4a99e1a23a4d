"""What the model does for its users: embeddings of whatever they hold, similarities, classes."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dovetail.data.images import ImageProblem
from dovetail.models.dual_encoder import MAX_SCALE, Classified, DualEncoder
from tests.models.small import TEXTS, model, pictures

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(scope="module")
def small() -> DualEncoder:
    torch.manual_seed(0)
    return model()


def test_images_come_as_files_pictures_arrays_or_tensors(small: DualEncoder, tmp_path: Path) -> None:
    listed = pictures(2)
    paths = [tmp_path / f"{i}.png" for i in range(2)]
    for picture, path in zip(listed, paths, strict=True):
        picture.save(path)
    arrays = [np.asarray(p) for p in listed]
    expected = small.encode_image(listed)
    assert expected.shape == (2, 12)
    ways: dict[str, Any] = {
        "paths": paths,
        "names": [str(p) for p in paths],
        "bytes": [p.read_bytes() for p in paths],
        "arrays": arrays,
        "floats": [(a / 255).astype(np.float32) for a in arrays],
        "tensors": [torch.from_numpy(a.copy()).permute(2, 0, 1) for a in arrays],
        "a mixture": [paths[0], arrays[1]],
        "a tuple": tuple(listed),
    }
    for name, way in ways.items():
        np.testing.assert_allclose(small.encode_image(way), expected, **CLOSE, err_msg=name)
        alone = small.encode_image(way[0])
        assert alone.shape == (1, 12), f"one of {name} alone gives one row"
        np.testing.assert_allclose(alone[0], expected[0], **CLOSE, err_msg=name)


def test_images_come_as_a_stack(small: DualEncoder) -> None:
    array = np.stack([np.asarray(p.resize((32, 32))) for p in pictures(3)])
    expected = small.encode_image(list(array))
    np.testing.assert_allclose(small.encode_image(array), expected, **CLOSE)
    np.testing.assert_allclose(small.encode_image(torch.from_numpy(array).permute(0, 3, 1, 2)), expected, **CLOSE)


def test_embeddings_have_unit_length_and_tell_things_apart(small: DualEncoder) -> None:
    for found in (small.encode_image(pictures(4)), small.encode_text(TEXTS)):
        assert found.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
        alike = found @ found.T - np.eye(len(found))
        assert alike.max() < 0.9999


def test_texts_come_alone_or_in_lists(small: DualEncoder) -> None:
    expected = small.encode_text(TEXTS)
    assert expected.shape == (len(TEXTS), 12)
    np.testing.assert_allclose(small.encode_text(tuple(TEXTS)), expected, **CLOSE)
    np.testing.assert_allclose(small.encode_text(TEXTS[1]), expected[1:2], **CLOSE)
    assert small.encode_text("word " * 10_000).shape == (1, 12)


def test_the_size_of_batches_and_neighbours_change_nothing(small: DualEncoder) -> None:
    images, texts = pictures(5), TEXTS * 2
    for size in (1, 2, 3):
        np.testing.assert_allclose(small.encode_image(images, batch_size=size), small.encode_image(images), **CLOSE)
        np.testing.assert_allclose(small.encode_text(texts, batch_size=size), small.encode_text(texts), **CLOSE)


def test_nothing_gives_no_rows(small: DualEncoder) -> None:
    assert small.encode_image([]).shape == small.encode_text([]).shape == (0, 12)


def test_output_is_of_the_kind_asked_for(small: DualEncoder) -> None:
    images, texts = small.encode_image(pictures(2), output="torch"), small.encode_text(TEXTS, output="torch")
    assert isinstance(images, torch.Tensor) and not images.requires_grad
    assert np.array_equal(images.numpy(), small.encode_image(pictures(2)))
    assert np.array_equal(texts.numpy(), small.encode_text(TEXTS))


def test_progress_is_shown_only_when_asked(small: DualEncoder, capsys: pytest.CaptureFixture[str]) -> None:
    quiet = small.encode_text(TEXTS, batch_size=2)
    assert capsys.readouterr() == ("", "")
    assert np.array_equal(small.encode_text(TEXTS, batch_size=2, progress=True), quiet)
    assert "texts" in capsys.readouterr().out


def test_what_cannot_be_read_is_named(small: DualEncoder, tmp_path: Path) -> None:
    with pytest.raises(ImageProblem, match=r"nowhere\.jpg: missing image"):
        small.encode_image(tmp_path / "nowhere.jpg")
    (tmp_path / "text.jpg").write_text("not a picture at all")
    with pytest.raises(ImageProblem, match=r"text\.jpg: not an image"):
        small.encode_image([pictures(1)[0], tmp_path / "text.jpg"])


def test_a_picture_of_any_mode_is_read(small: DualEncoder) -> None:
    for mode in ("L", "P", "RGBA", "CMYK", "1", "LA"):
        assert np.isfinite(small.encode_image(Image.new(mode, (20, 30)))).all(), mode


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_as_before_even_after_an_error(training: bool, tmp_path: Path) -> None:
    small = model().train(training)
    seen = []
    small.image.register_forward_hook(lambda module, *_: seen.append(module.training))
    small.encode_image(pictures(1))
    assert small.training is small.image.training is training and seen == [False]
    with pytest.raises(ImageProblem):
        small.encode_image(tmp_path / "nowhere.jpg")
    assert small.training is small.text.training is training


def test_similarity_is_the_cosine(small: DualEncoder) -> None:
    a, b = np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[0.0, 2.0], [6.0, 8.0], [-1.0, 0.0]])
    expected = [[0.8, 1.0, -0.6], [0.0, 0.6, -1.0]]
    found = small.similarity(a, b)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    tensors = small.similarity(torch.tensor(a), torch.tensor(b))
    assert isinstance(tensors, torch.Tensor)
    np.testing.assert_allclose(tensors.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("bias", [None, -2.0])
def test_classify_equals_its_definition(bias: float | None) -> None:
    small, images = model(bias), pictures(3)
    labels, templates = ["cat", "dog", "red star"], ["a photo of a {}.", "{}, drawn"]
    found = small.classify(images, labels, templates, batch_size=2)
    pixels = small.encode_image(images)
    classes = []
    for label in labels:
        mean = sum(small.encode_text(t.replace("{}", label))[0].astype(np.float64) for t in templates)
        classes.append(mean / math.sqrt(sum(x * x for x in mean)))
    assert found.labels == tuple(labels) and found.probabilities.shape == (3, 3)
    for i, x in enumerate(pixels.astype(np.float64)):
        scores = [7.0 * float(x @ c) for c in classes]
        if bias is None:
            whole = sum(math.exp(s) for s in scores)
            expected = [math.exp(s) / whole for s in scores]
        else:
            expected = [1 / (1 + math.exp(-(s + bias))) for s in scores]
        assert found.probabilities[i].tolist() == pytest.approx(expected, abs=1e-5)
        assert found.best[i] == labels[scores.index(max(scores))]
    if bias is None:
        np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-5)


def test_classify_takes_one_image_and_needs_a_label(small: DualEncoder) -> None:
    assert small.classify(pictures(1)[0], ["cat", "dog"]).probabilities.shape == (1, 2)
    assert small.classify(pictures(2), ["cat"]).best == ["cat", "cat"]
    with pytest.raises(ValueError, match="name at least one class"):
        small.classify(pictures(1), [])


def test_best_is_the_most_probable() -> None:
    found = Classified(("a", "b"), np.array([[0.2, 0.8], [0.9, 0.1]], dtype=np.float32))
    assert found.best == ["b", "a"]


def test_the_scale_starts_where_told_and_stays_in_bounds() -> None:
    small = model(bias=-3.0)
    assert small.scale.item() == pytest.approx(7.0)
    assert small.bias is not None and small.bias.item() == -3.0
    assert model().bias is None
    for given, kept in ((5.0, 5.0), (1e6, MAX_SCALE), (1e-3, 1.0)):
        small.log_scale.data.fill_(math.log(given))
        small.clamp_scale()
        assert small.scale.item() == pytest.approx(kept, rel=1e-5)


def test_bytes_are_normalised_and_floats_are_not(small: DualEncoder) -> None:
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    expected = small.image_features(small.preprocessing.normalise(pixels)).pooled
    assert torch.equal(small.image_features(pixels).pooled, expected)


class Tokenwise:
    """A similarity that reads tokens."""

    symmetric, tokens = True, True

    def prepare(self, features: Any) -> Any:
        return features

    def scores(self, rows: Any, cols: Any) -> torch.Tensor:
        return rows.tokens.mean(1) @ cols.tokens.mean(1).T


def test_tokens_come_into_the_shared_space_when_the_similarity_reads_them() -> None:
    plain = model()
    late = DualEncoder(plain.image, plain.text, 12, plain.preprocessing, plain.tokenizer, Tokenwise())
    images = late.image_features(torch.zeros(2, 3, 32, 32), tokens=True)
    texts = late.text_features(late.tokenizer(TEXTS), tokens=True)
    assert images.tokens.shape == (2, 16, 12) and images.grid == (4, 4)
    assert texts.tokens.shape == (len(TEXTS), texts.mask.shape[1], 12)
    assert late.text_features(late.tokenizer(TEXTS)).tokens is None
    assert not any("token_projection" in name for name, _ in plain.named_parameters())


def test_tokens_share_the_map_of_the_vectors_when_the_similarity_reads_none() -> None:
    plain = model()
    images, texts = torch.zeros(2, 3, 32, 32), plain.tokenizer(TEXTS)
    seen, said = plain.image_features(images, tokens=True).tokens, plain.text_features(texts, tokens=True).tokens
    assert seen is not None and said is not None
    torch.testing.assert_close(seen, plain.image_projection(plain.image(images).tokens))
    torch.testing.assert_close(said, plain.text_projection(plain.text(texts).tokens))
    plain.text.token_width = 7
    with pytest.raises(ValueError, match="the text tower's tokens have 7 numbers"):
        plain.text_features(texts, tokens=True)
