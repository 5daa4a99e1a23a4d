"""Retrieval between images and texts, both ways, with any number of captions an image.

Karpathy & Fei-Fei, "Deep Visual-Semantic Alignments for Generating Image Descriptions", 2015.

An image has found its text when the best of its captions is among the first k of all captions; a caption asks for its
own image among all images. Items with equal ids are the same thing, so any of them is a right answer.

The intervals draw images (all that share an id, with their captions) anew and leave the gallery as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from dovetail.contracts import Features, Similarity
from dovetail.evaluation.intervals import Estimate, Statistic, average, bootstrap, mean, median
from dovetail.evaluation.matching import COSINE, Matching, as_features
from dovetail.evaluation.metrics import Ranks, guess, position, recall
from dovetail.ops.features import take

KS = (1, 5, 10)


@dataclass(frozen=True, eq=False)
class Direction:
    """One way of asking, for a closer look: how every query fared, and the matching to see nearest items and mistakes.

    queries: the rows, of the features given to `retrieval`, that were asked; query i of `ranks` and `matching` is row
    queries[i]. (Images that no caption belongs to are found among, but ask nothing.)
    """

    matching: Matching
    ranks: Ranks
    queries: Int[Tensor, " q"]


@dataclass(frozen=True, eq=False)
class RetrievalResult:
    """figures: `image_to_text/R@1` and so on (shares of 0..1), `image_to_text/median_rank`, the same with
    `text_to_image`, and `mean_recall`, the mean of all R@k.

    chance: what guessing gives, under the same names.
    """

    figures: Mapping[str, Estimate]
    chance: Mapping[str, float]
    image_to_text: Direction
    text_to_image: Direction


def retrieval(
    images: Features | Tensor | np.ndarray,
    texts: Features | Tensor | np.ndarray,
    owner: Int[Tensor, " t"] | np.ndarray | Sequence[int],
    ids: Int[Tensor, " b"] | np.ndarray | Sequence[int] | None = None,
    similarity: Similarity = COSINE,
    ks: Sequence[int] = KS,
) -> RetrievalResult:
    """Recall at `ks` and median rank of b images and t texts, both ways, with their intervals.

    images: (b d), texts: (t d), normalised or not. owner: the row of the image that each text belongs to.
    ids: (b), equal for images of the same thing (default: all differ).
    Raises ValueError for lengths or owners that do not fit, and for NaN or infinity in the embeddings.
    """
    left = as_features(images, "image")
    right = as_features(texts, "text").to(left.pooled.device)
    image_ids, text_ids = _ids(len(left.pooled), len(right.pooled), torch.as_tensor(owner), ids)
    asked = torch.isin(image_ids, text_ids).nonzero()[:, 0]
    forward = _direction(Matching(take(left, asked), right, image_ids[asked], text_ids, similarity), asked)
    backward = _direction(Matching(right, left, text_ids, image_ids, similarity), torch.arange(len(text_ids)))

    things = text_ids.unique()
    statistics: dict[str, Statistic] = {}
    chance: dict[str, float] = {}
    for name, way in {"image_to_text": forward, "text_to_image": backward}.items():
        thing = torch.searchsorted(things, way.matching.query_ids)
        blind = guess(way.ranks)
        for k in ks:
            statistics[f"{name}/R@{k}"] = mean(recall(way.ranks, k), thing)
            chance[f"{name}/R@{k}"] = float(recall(blind, k).mean())
        statistics[f"{name}/median_rank"] = median(position(way.ranks), thing)
        chance[f"{name}/median_rank"] = float(position(blind).median())
    recalls = [name for name in statistics if "/R@" in name]
    statistics["mean_recall"] = average([statistics[name] for name in recalls])
    chance["mean_recall"] = sum(chance[name] for name in recalls) / len(recalls)
    shares = [*recalls, "mean_recall"]
    return RetrievalResult(bootstrap(statistics, len(things), shares), chance, forward, backward)


def _direction(matching: Matching, queries: Int[Tensor, " q"]) -> Direction:
    return Direction(matching, matching.ranks(), queries)


def _ids(
    images: int, texts: int, owner: Int[Tensor, " t"], ids: Int[Tensor, " b"] | np.ndarray | Sequence[int] | None
) -> tuple[Int[Tensor, " b"], Int[Tensor, " t"]]:
    """The id of every image and of every text, on the CPU."""
    known = torch.arange(images) if ids is None else torch.as_tensor(ids).cpu()
    owner = owner.cpu()
    if len(known) != images:
        raise ValueError(f"there are {images} images but {len(known)} ids")
    if len(owner) != texts:
        raise ValueError(f"there are {texts} texts but {len(owner)} owners; each text needs the row of its image")
    if texts and not 0 <= int(owner.min()) <= int(owner.max()) < images:
        raise ValueError(f"owners must be rows of the {images} images, but go from {owner.min()} to {owner.max()}")
    return known, known[owner]
