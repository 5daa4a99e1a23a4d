"""Zero-shot classification: the class whose name, put into sentences, is most like the image.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021.

A class is the normalised mean of the normalised embeddings of its name in every prompt template (section 3.1.4).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from dovetail.contracts import Features, Similarity
from dovetail.data.records import DataError
from dovetail.evaluation.intervals import Estimate, Statistic, bootstrap, mean, mean_per_class
from dovetail.evaluation.matching import COSINE, Matching, as_features
from dovetail.evaluation.metrics import Ranks, guess, recall
from dovetail.ops.similarity import normalize

PHOTO = ("a photo of a {}.",)
SEVEN = (  # the small ensemble that the paper's authors found to do nearly as well as their eighty
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)


@dataclass(frozen=True)
class Confusion:
    """How often images of one class were taken for another."""

    true: str
    predicted: str
    count: int
    share: float  # of the images of the true class


@dataclass(frozen=True, eq=False)
class ZeroShotResult:
    """`top1`, `top5` (with more than five classes) and `mean_per_class`, all shares of 0..1.

    chance: what guessing gives, under the same names. matching: images to classes, for a closer look.
    """

    figures: Mapping[str, Estimate]
    chance: Mapping[str, float]
    per_class: Mapping[str, float]  # top-1 accuracy of every class that has images
    confusions: Sequence[Confusion]  # most frequent first
    predictions: Int[Tensor, " b"]  # index of the class of the highest score
    labels: Int[Tensor, " b"]
    class_names: Sequence[str]
    ranks: Ranks
    matching: Matching


def zero_shot(
    model: Any,
    images: Sequence[Any],
    labels: Int[Tensor, " b"] | np.ndarray | Sequence[int],
    class_names: Sequence[str],
    templates: Sequence[str] = PHOTO,
) -> ZeroShotResult:
    """Classifies `images` with a model that has encode_image, encode_text and similarity. labels: class indices."""
    classes = class_embeddings(model.encode_text, class_names, templates)
    return classification(model.encode_image(list(images)), classes, labels, class_names, model.similarity)


def class_embeddings(
    encode_text: Callable[[list[str]], Any], class_names: Sequence[str], templates: Sequence[str] = PHOTO
) -> Float[Tensor, "c d"]:
    """One unit vector a class. Raises DataError for a template without {}, for no classes and for a name twice."""
    check_templates(templates)
    if not class_names:
        raise DataError("there are no classes to choose from; give at least two names")
    twice = [name for name, count in Counter(class_names).items() if count > 1]
    if twice:
        raise DataError(f"class {twice[0]!r} is given twice; give every class one name of its own")
    texts = [template.replace("{}", name) for name in class_names for template in templates]
    each = normalize(as_features(encode_text(texts), "text").pooled)
    return normalize(each.unflatten(0, (len(class_names), len(templates))).mean(1))


def classification(
    images: Features | Tensor | np.ndarray,
    classes: Features | Tensor | np.ndarray,
    labels: Int[Tensor, " b"] | np.ndarray | Sequence[int],
    class_names: Sequence[str],
    similarity: Similarity = COSINE,
) -> ZeroShotResult:
    """Accuracy of giving each of b images (b d) the nearest of c classes (c d); labels (b): index of its true class."""
    pictures = as_features(images, "image")
    names = as_features(classes, "class").to(pictures.pooled.device)
    truth = torch.as_tensor(labels).long().cpu()
    _check_labels(truth, len(pictures.pooled), len(names.pooled), len(class_names))
    matching = Matching(pictures, names, truth, torch.arange(len(class_names)), similarity)
    ranks = matching.ranks()
    right, blind = recall(ranks, 1), recall(guess(ranks), 1)
    statistics: dict[str, Statistic] = {"top1": mean(right), "mean_per_class": mean_per_class(right, truth)}
    chance = {"top1": float(blind.mean()), "mean_per_class": float(blind.mean())}
    if len(class_names) > 5:
        statistics["top5"] = mean(recall(ranks, 5))
        chance["top5"] = float(recall(guess(ranks), 5).mean())
    predictions = matching.nearest(torch.arange(len(truth)), 1)[0][:, 0]
    per_class = {class_names[c]: float(right[truth == c].mean()) for c in truth.unique().tolist()}
    return ZeroShotResult(
        figures=bootstrap(statistics, len(truth), shares=statistics),
        chance=chance,
        per_class=per_class,
        confusions=_confusions(truth, predictions, class_names),
        predictions=predictions,
        labels=truth,
        class_names=tuple(class_names),
        ranks=ranks,
        matching=matching,
    )


def read_templates(path: str | Path) -> tuple[str, ...]:
    """Prompt templates from a text file, one a line, {} for the class's name; empty lines and # lines do not count."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the prompt templates cannot be read as UTF-8 text ({error})") from error
    numbered = [(n, line.strip()) for n, line in enumerate(lines, 1)]
    held = [(n, line) for n, line in numbered if line and not line.startswith("#")]
    if not held:
        raise DataError(f"{path}: holds no prompt template; write one a line, such as: {PHOTO[0]}")
    for n, line in held:
        if "{}" not in line:
            raise DataError(f"{path} line {n}: {line!r} has no {{}} where the class's name goes, as in: {PHOTO[0]}")
    return tuple(line for _, line in held)


def check_templates(templates: Sequence[str]) -> None:
    """Raises DataError when there are none, or for one without {}."""
    if isinstance(templates, str) or not templates:
        raise DataError(f"prompt templates must be a list of sentences such as {PHOTO[0]!r}, not {templates!r}")
    for template in templates:
        if "{}" not in template:
            raise DataError(f"prompt template {template!r} has no {{}} where the class's name goes, as in: {PHOTO[0]}")


def _check_labels(labels: Int[Tensor, " b"], images: int, classes: int, names: int) -> None:
    if len(labels) != images:
        raise ValueError(f"there are {images} images but {len(labels)} labels")
    if classes != names:
        raise ValueError(f"there are {classes} class embeddings but {names} class names")
    if images and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise ValueError(
            f"labels must be indices of the {classes} classes, but go from {labels.min()} to {labels.max()}"
        )


def _confusions(labels: Int[Tensor, " b"], predictions: Int[Tensor, " b"], names: Sequence[str]) -> list[Confusion]:
    """Every pair of classes that was mixed up, most frequent first."""
    size = len(names)
    wrong = labels != predictions
    pairs, counts = (labels * size + predictions)[wrong].unique(return_counts=True)
    of_class = labels.bincount(minlength=size)
    found = [
        Confusion(names[pair // size], names[pair % size], n, n / int(of_class[pair // size]))
        for pair, n in zip(pairs.tolist(), counts.tolist(), strict=True)
    ]
    return sorted(found, key=lambda c: (-c.count, -c.share))
