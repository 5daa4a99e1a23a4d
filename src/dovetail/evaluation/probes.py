"""What frozen image embeddings know: a linear classifier and nearest neighbours on top of them. No text is used."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn import functional as F

from dovetail.data.records import DataError, Problems, Record
from dovetail.data.sources import Stream, Table
from dovetail.data.worlds.facts import WORDS
from dovetail.evaluation.benchmarks import DualModel, encoded, records_of
from dovetail.evaluation.choosing import chosen
from dovetail.evaluation.intervals import bootstrap, mean
from dovetail.evaluation.matching import TIE
from dovetail.evaluation.result import Result
from dovetail.ops.similarity import normalize

STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)  # scikit-learn's C: the inverse of the weight of the penalty
TEMPERATURE = 0.07
CELLS = 1 << 22  # similarities held at once: 16 MiB in float32


@dataclass(frozen=True)
class LinearProbe:
    """Logistic regression on embeddings that are scaled to unit length and then standardised by the training images.

    The strength of the L2 penalty is the one of `STRENGTHS` that does best on every fifth training image of each class;
    the classifier is then fitted to all. attribute: `label` (of the record), or the `colour`, `shape`, `size` or
    `texture` of a scene of a single thing. Raises DataError, when called, for another attribute, for fewer than two
    classes, and when no class has five images.
    """

    train: Table | Stream
    test: Table | Stream
    attribute: str = "label"
    name: str = "linear probe"

    def __call__(self, model: DualModel) -> Result:
        """`linear_probe/top1`, a share of 0..1 of the test images."""
        known, asked = _split(model, self.train, self.test, self.attribute)
        x, y = known.embeddings.double().numpy(), known.labels.numpy()
        fifth = every_fifth(known.labels).numpy()
        if not fifth.any():
            raise DataError(f"{self.train.name}: no {self.attribute} has five images; a probe needs at least as many")
        scores = [_fitted(c, x[~fifth], y[~fifth]).score(x[fifth], y[fifth]) for c in STRENGTHS]
        strength = STRENGTHS[int(np.argmax(scores))]
        predicted = torch.from_numpy(_fitted(strength, x, y).predict(asked.embeddings.double().numpy()))
        details = {"C": strength, "held_out_accuracy": dict(zip(map(str, STRENGTHS), scores, strict=True))}
        return _result(self.name, "linear_probe/top1", (predicted == asked.labels).double(), known, asked, details)


@dataclass(frozen=True)
class NearestNeighbours:
    """The vote of the k training images that are nearest by cosine, each with the weight exp(cosine / 0.07).

    Wu et al., "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", 2018.
    Images as near as the k-th vote too. attribute: as in `LinearProbe`. Raises DataError, when called, for another
    attribute and for fewer than two classes.
    """

    train: Table | Stream
    test: Table | Stream
    attribute: str = "label"
    k: int = 20
    name: str = "nearest neighbours"

    def __post_init__(self) -> None:
        if self.k < 1:
            raise DataError(f"k={self.k}: expected at least one neighbour")

    def __call__(self, model: DualModel) -> Result:
        """`knn/top1`, a share of 0..1 of the test images; between equal votes a fair coin decides, in expectation."""
        known, asked = _split(model, self.train, self.test, self.attribute)
        votes = vote(asked.embeddings, known.embeddings, known.labels, len(known.classes), self.k)
        right = chosen(votes).gather(1, asked.labels[:, None])[:, 0]
        return _result(self.name, "knn/top1", right, known, asked, {"k": min(self.k, len(known.labels))})


@dataclass(frozen=True, eq=False)
class Labelled:
    """Unit embeddings of images and the index of each one's class; what was skipped."""

    embeddings: Float[Tensor, "n d"]
    labels: Int[Tensor, " n"]
    classes: tuple[str, ...]
    skipped: Problems


def fact(record: Record, attribute: str) -> str | None:
    """The record's `label`, or the attribute of the only thing of its scene; None where there is none."""
    if attribute == "label":
        return record.label
    scene = record.extra.get("scene")
    return str(getattr(scene.things[0], attribute)) if scene is not None and len(scene.things) == 1 else None


def vote(
    queries: Float[Tensor, "q d"],
    known: Float[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    classes: int,
    k: int,
) -> Float[Tensor, "q c"]:
    """The weight of each class among the k nearest of n known unit vectors; a row sums to 1."""
    of_class = F.one_hot(labels, classes).double()
    found = []
    for rows in queries.split(max(1, CELLS // len(known))):
        cosines = (rows @ known.T).double()
        least = cosines.topk(min(k, len(known)), 1).values[:, -1:] - TIE
        weights = (cosines / TEMPERATURE).masked_fill(cosines < least, -torch.inf).softmax(1)
        found.append(weights @ of_class)
    return torch.cat(found)


def every_fifth(labels: Int[Tensor, " n"]) -> Bool[Tensor, " n"]:
    """Marks every fifth item of each class, in a fixed random order; a class of fewer than five items has none."""
    order = torch.from_numpy(np.random.RandomState(0).permutation(len(labels)))
    marked = torch.zeros(len(labels), dtype=torch.bool)
    for c in labels.unique():
        marked[order[labels[order] == c][4::5]] = True
    return marked


def _fitted(strength: float, x: np.ndarray, y: np.ndarray) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000)).fit(x, y)


def _split(model: DualModel, train: Table | Stream, test: Table | Stream, attribute: str) -> tuple[Labelled, Labelled]:
    """Both sources embedded; test images of a class that the training images lack are left out."""
    if attribute not in ("label", *WORDS):
        raise DataError(f"attribute {attribute!r}: expected label, {', '.join(WORDS)}")
    known = _labelled(model, train, attribute, None)
    if len(known.classes) < 2:
        raise DataError(f"{train.name}: every image has {attribute} {known.classes[0]!r}; a probe needs two classes")
    return known, _labelled(model, test, attribute, known.classes)


def _labelled(model: DualModel, source: Table | Stream, attribute: str, classes: tuple[str, ...] | None) -> Labelled:
    problems = Problems()

    def usable() -> Iterator[Record]:
        for record in records_of(source):
            word = fact(record, attribute)
            if word is None:
                problems.add(f"no {attribute}", record.name)
            elif classes is not None and word not in classes:
                problems.add("not a class of the training images", f"{record.name}: {word}")
            else:
                yield record

    records, images = encoded(model, usable(), problems)
    problems.merge(source.problems)
    words = [str(fact(record, attribute)) for record in records]
    names = tuple(sorted(set(words))) if classes is None else classes
    return Labelled(
        normalize(images.pooled).cpu(), torch.tensor([names.index(word) for word in words]), names, problems
    )


def _result(
    name: str,
    figure: str,
    right: Float[Tensor, " n"],
    known: Labelled,
    asked: Labelled,
    details: dict[str, object],
) -> Result:
    problems = Problems()
    problems.merge(known.skipped)
    problems.merge(asked.skipped)
    return Result(
        name=name,
        figures=bootstrap({figure: mean(right)}, len(right), shares=[figure]),
        chance={figure: 1 / len(known.classes)},
        counts={"training images": len(known.labels), "images": len(right), "classes": len(known.classes)},
        skipped=problems,
        details=details,
    )
