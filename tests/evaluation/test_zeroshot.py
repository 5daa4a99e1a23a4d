"""Zero-shot classification against plain loops; templates; what bad input says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dovetail.data.records import DataError
from dovetail.evaluation.matching import COSINE
from dovetail.evaluation.zeroshot import (
    PHOTO,
    SEVEN,
    Confusion,
    class_embeddings,
    classification,
    read_templates,
    zero_shot,
)
from tests.evaluation import oracles

NAMES = ["ant", "bee", "cat", "dog", "elk", "fox", "gnu"]


def letters(texts: list[str]) -> Tensor:
    """A text as its counts of letters, of differing lengths."""
    return torch.tensor([[1.0 + text.count(chr(97 + i)) for i in range(26)] for text in texts])


class Model:
    """Images are given as the vectors they embed to."""

    similarity = COSINE

    def encode_image(self, images: list[np.ndarray]) -> np.ndarray:
        return np.stack(images)

    def encode_text(self, texts: list[str]) -> Tensor:
        return letters(texts)


def noisy(noise: float, images: int = 60) -> tuple[Tensor, Tensor, Tensor]:
    classes = torch.randn(len(NAMES), 6)
    labels = torch.randint(0, len(NAMES), (images,))
    return classes[labels] + noise * torch.randn(images, 6), classes, labels


def test_accuracies_are_the_definitions() -> None:
    x, classes, labels = noisy(1.5)
    found = classification(x, classes, labels, NAMES)
    scores = oracles.cosines(x.numpy(), classes.numpy())
    places = oracles.ranks(scores, labels.tolist(), range(7))
    right = [float(place == 1) for place in places]
    assert 0.2 < np.mean(right) < 0.9
    assert {n: e.value for n, e in found.figures.items()} == pytest.approx(
        {
            "top1": np.mean(right),
            "top5": oracles.recall(places, 5),
            "mean_per_class": oracles.per_class_mean(right, labels.tolist()),
        }
    )
    assert found.chance == pytest.approx({"top1": 1 / 7, "top5": 5 / 7, "mean_per_class": 1 / 7})
    assert all(e.share and e.low < e.value < e.high for e in found.figures.values())
    predicted = [max(range(7), key=lambda c: row[c]) for row in scores]
    assert found.predictions.tolist() == predicted
    for c, name in enumerate(NAMES):
        assert found.per_class[name] == pytest.approx(
            np.mean([r for r, y in zip(right, labels, strict=True) if y == c])
        )
    mixed = {(NAMES[y], NAMES[p]) for y, p in zip(labels.tolist(), predicted, strict=True) if y != p}
    assert {(c.true, c.predicted) for c in found.confusions} == mixed
    assert sum(c.count for c in found.confusions) == sum(r == 0 for r in right)


def test_confusions_come_worst_first() -> None:
    classes, labels = torch.eye(3), torch.tensor([0, 0, 0, 0, 1, 2])
    seen = torch.tensor([0, 1, 1, 2, 0, 2])
    found = classification(classes[seen], classes, labels, ["a", "b", "c"])
    assert found.confusions == [
        Confusion("a", "b", 2, 0.5),
        Confusion("b", "a", 1, 1.0),
        Confusion("a", "c", 1, 0.25),
    ]


def test_classes_of_differing_frequency_count_alike_in_the_mean_per_class() -> None:
    classes, labels = torch.eye(2), torch.tensor([0] * 9 + [1])
    found = classification(classes[torch.zeros(10).long()], classes, labels, ["often", "rare"])
    assert found.figures["top1"].value == pytest.approx(0.9)
    assert found.figures["mean_per_class"].value == pytest.approx(0.5)
    assert "top5" not in found.figures  # of two classes every one is among the first five


def test_a_class_without_images_is_a_distractor() -> None:
    found = classification(torch.eye(3)[:2], torch.eye(3), [0, 1], ["a", "b", "c"])
    assert set(found.per_class) == {"a", "b"}
    assert found.figures["mean_per_class"].value == 1


def test_constant_embeddings_score_chance() -> None:
    labels = torch.zeros(30).long()  # all of the first class, which a plain argmax would answer
    found = classification(torch.ones(30, 4), torch.ones(7, 4), labels, NAMES)
    assert {n: e.value for n, e in found.figures.items()} == pytest.approx(found.chance)


def test_class_embeddings_are_means_over_templates() -> None:
    templates = ["a photo of a {}.", "{}", "the {} and the {}"]
    found = class_embeddings(letters, ["cat", "{brace} dog"], templates)
    for c, name in enumerate(["cat", "{brace} dog"]):
        texts = [f"a photo of a {name}.", name, f"the {name} and the {name}"]
        each = letters(texts).double().numpy()
        mean = (each / np.sqrt((each**2).sum(1, keepdims=True))).mean(0)
        assert found[c].numpy() == pytest.approx(mean / np.sqrt(mean @ mean), rel=1e-5)


def test_from_a_model() -> None:
    images = [letters([f"a photo of a {name}."])[0].numpy() for name in NAMES]
    found = zero_shot(Model(), images, list(range(7)), NAMES)
    assert found.figures["top1"].value == 1
    assert zero_shot(Model(), images, list(range(7)), NAMES, SEVEN).figures["top5"].value > 0.5


def test_templates_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "templates.txt"
    path.write_text("# for aerial photographs\na {} from above.\n\n  ein Foto: {}  \n", encoding="utf-8")
    assert read_templates(path) == ("a {} from above.", "ein Foto: {}")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a photo of a {}.\nno place\n", r"t.txt line 2: 'no place' has no \{\} where the class's name goes"),
        (b"\n# only a remark\n", "t.txt: holds no prompt template; write one a line"),
        (b"\xff\xfe\x00", "t.txt: the prompt templates cannot be read as UTF-8 text"),
        (None, "t.txt: the prompt templates cannot be read"),
    ],
)
def test_template_files_that_cannot_be_used(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "t.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_templates(path)


@pytest.mark.parametrize(
    ("names", "templates", "message"),
    [
        (["a"], ("a photo",), r"prompt template 'a photo' has no \{\}"),
        (["a"], (), "must be a list of sentences"),
        (["a"], "a photo of a {}.", "must be a list of sentences"),
        ([], PHOTO, "there are no classes"),
        (["a", "b", "a"], PHOTO, "class 'a' is given twice"),
    ],
)
def test_classes_and_templates_that_cannot_be_used(names: list[str], templates: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        class_embeddings(letters, names, templates)


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([0, 1], ["a", "b", "c"], "there are 3 images but 2 labels"),
        ([0, 1, 3], ["a", "b", "c"], "labels must be indices of the 3 classes, but go from 0 to 3"),
        ([0, 1, 2], ["a", "b"], "there are 3 class embeddings but 2 class names"),
    ],
)
def test_labels_that_do_not_fit(labels: list[int], names: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classification(torch.eye(3), torch.eye(3), labels, names)
