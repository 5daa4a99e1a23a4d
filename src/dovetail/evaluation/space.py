"""The shape of the space that a model's embeddings fill, with intervals: gap, alignment and uniformity.

Liang et al., "Mind the Gap: Understanding the Modality Gap in Multi-modal Contrastive Representation Learning", 2022.
Wang & Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the
Hypersphere", 2020.

Gap and uniformity are means over pairs of items. A resample holds some items twice, and an item is at distance 0 of
itself, so resampled pairs of an item with itself do not count: they would pull every resample to one side.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from dovetail.data.records import DataError, Problems
from dovetail.data.sources import Stream, Table
from dovetail.evaluation.benchmarks import DualModel, encoded, records_of, true_texts, with_captions
from dovetail.evaluation.intervals import Statistic, bootstrap, mean
from dovetail.evaluation.matching import as_features
from dovetail.evaluation.result import Result
from dovetail.ops.similarity import normalize

SAMPLE = 500  # items of which all pairs are looked at
STEEP = 2.0  # Wang & Isola's t


@dataclass(frozen=True)
class SpaceBenchmark:
    """Modality gap, alignment and uniformity of pooled embeddings of images with one caption each: image i with its
    caption i modulo their number, so that every kind of caption takes part.

    Gap and uniformity are measured on 500 items spread evenly over the source. limit: no more than so many records.
    Raises DataError, when called, if fewer than two records are usable.
    """

    source: Table | Stream
    name: str = "space"
    limit: int | None = None

    def __call__(self, model: DualModel) -> Result:
        """`modality_gap` (0..2), `alignment` (0..4), `uniformity/images` and `uniformity/texts` (0 for a single point,
        lower is more even), as in `dovetail.evaluation.geometry`. chance: what independent random directions give.
        """
        problems = Problems()
        records, features = encoded(model, with_captions(records_of(self.source, self.limit), problems), problems)
        problems.merge(self.source.problems)
        if len(records) < 2:
            raise DataError(f"{self.source.name}: one usable record; the shape of a space needs at least two")
        told = [texts[i % len(texts)] for i, texts in enumerate(map(true_texts, records))]
        images = normalize(features.pooled).cpu().double()
        texts = normalize(as_features(model.encode_text(told), "text").pooled).cpu().double()
        n, width = images.shape
        some = torch.linspace(0, n - 1, min(n, SAMPLE)).round().long()
        figures = bootstrap({"alignment": mean((images - texts).square().sum(1))}, n)
        over_pairs = {
            "modality_gap": gap(images[some] - texts[some]),
            "uniformity/images": evenness(images[some]),
            "uniformity/texts": evenness(texts[some]),
        }
        even = random_uniformity(width)
        return Result(
            name=self.name,
            figures={**bootstrap(over_pairs, len(some)), **figures},
            chance={
                "modality_gap": math.sqrt(2 / len(some)),
                "alignment": 2.0,
                "uniformity/images": even,
                "uniformity/texts": even,
            },
            counts={"images": n, "sample": len(some)},
            skipped=problems,
        )


def gap(differences: Float[Tensor, "n d"]) -> Statistic:
    """Length of the mean of n differences: the modality gap of pairs of unit vectors."""
    n = len(differences)
    own, other = mean(differences.square().sum(1)), pairs(differences @ differences.T)

    def statistic(weights: Float[Tensor, "s n"]) -> Float[Tensor, " s"]:
        squared = own(weights) / n + other(weights) * (n - 1) / n
        return squared.clamp(min=0).sqrt()

    return statistic


def evenness(x: Float[Tensor, "n d"]) -> Statistic:
    """Uniformity of n unit vectors: log of the mean of exp(-2 |x_i - x_j|^2) over pairs."""
    over = pairs((-STEEP * (2 - 2 * x @ x.T).clamp(min=0)).exp())
    return lambda weights: over(weights).log()


def pairs(values: Float[Tensor, "n n"]) -> Statistic:
    """The mean of values[i, j] over the pairs i != j; a pair weighs as much as its items' weights multiplied."""
    apart = values.clone().fill_diagonal_(0)

    def statistic(weights: Float[Tensor, "s n"]) -> Float[Tensor, " s"]:
        total = ((weights @ apart) * weights).sum(1)
        # a resample of one item only has no pair at all: possible with two or three items, and given every weight 1
        none = weights.square().sum(1) == weights.sum(1).square()
        count = weights.sum(1).square() - weights.square().sum(1)
        every = apart.sum() / (len(apart) * (len(apart) - 1))
        return torch.where(none, every, total / count.clamp(min=1))

    return statistic


def random_uniformity(width: int, t: float = STEEP) -> float:
    """The uniformity expected of independent random directions of this width: log E exp(-t |x - y|^2).

    E exp(2 t <x, y>) is the hypergeometric function 0F1(width / 2; t^2), summed here term by term.
    """
    term = total = 1.0
    for k in range(1, 200):
        term *= t * t / (k * (width / 2 + k - 1))
        total += term
    return math.log(total) - 2 * t
