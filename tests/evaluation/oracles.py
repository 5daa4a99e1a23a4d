"""The definitions again, as plain loops in float64."""

from collections.abc import Sequence
from itertools import pairwise, permutations
from statistics import fmean, median

import numpy as np


def cosines(rows: np.ndarray, cols: np.ndarray) -> list[list[float]]:
    """Cosine of every row with every column."""
    rows, cols = np.asarray(rows, np.float64), np.asarray(cols, np.float64)
    return [[float(a @ b / (np.sqrt(a @ a) * np.sqrt(b @ b))) for b in cols] for a in rows]


def rank(scores: Sequence[float], right: Sequence[bool]) -> int:
    """Place, from 1, of the best right item; without ties."""
    best = max(s for s, r in zip(scores, right, strict=True) if r)
    return 1 + sum(s > best for s in scores)


def ranks(scores: list[list[float]], query_ids: Sequence[int], gallery_ids: Sequence[int]) -> list[int]:
    """The rank of every query."""
    return [rank(row, [g == q for g in gallery_ids]) for row, q in zip(scores, query_ids, strict=True)]


def recall(places: Sequence[int], k: int) -> float:
    """Share of queries whose rank is at most k."""
    return fmean(place <= k for place in places)


def median_rank(places: Sequence[int]) -> float:
    """The middle one, or the mean of the middle two."""
    return float(median(places))


def per_class_mean(values: Sequence[float], labels: Sequence[int]) -> float:
    """Mean over classes of the mean in the class."""
    means = []
    for c in sorted(set(labels)):
        means.append(fmean(v for v, label in zip(values, labels, strict=True) if label == c))
    return fmean(means)


def tied_recall(scores: Sequence[float], right: Sequence[bool], k: int) -> float:
    """Mean of the hits at k over every order of the items that agrees with the scores."""
    hits = []
    for order in permutations(range(len(scores))):
        if all(scores[a] >= scores[b] for a, b in pairwise(order)):
            hits.append(any(right[i] for i in order[:k]))
    return fmean(hits)


def tied_place(scores: Sequence[float], right: Sequence[bool]) -> float:
    """Mean place of the first right item over every order of the items that agrees with the scores."""
    places = []
    for order in permutations(range(len(scores))):
        if all(scores[a] >= scores[b] for a, b in pairwise(order)):
            places.append(1 + next(i for i, item in enumerate(order) if right[item]))
    return fmean(places)
