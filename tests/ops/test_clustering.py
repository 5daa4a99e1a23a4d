"""k-means against its definition in loops and scikit-learn's."""

from typing import Any

import pytest
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from dovetail.ops import clustering
from dovetail.ops.clustering import kmeans, means, nearest


def _start(x: Tensor, k: int, seed: int) -> list[list[float]]:
    return x[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:k]].tolist()


@pytest.mark.parametrize("cells", [1, 7, 1 << 24])
def test_equals_its_definition(cells: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(clustering, "CELLS", cells)
    x, k = torch.randn(12, 3, dtype=torch.float64), 4
    points, centres = x.tolist(), _start(x, k, 5)

    def label(point: list[float]) -> int:
        distances = [sum((a - b) ** 2 for a, b in zip(point, c, strict=True)) for c in centres]
        return distances.index(min(distances))

    for _ in range(3):
        labels = [label(p) for p in points]
        for c in range(k):
            own = [p for p, at in zip(points, labels, strict=True) if at == c]
            centres[c] = [sum(column) / len(own) for column in zip(*own, strict=True)] if own else centres[c]
    found, numbers = kmeans(x, k, iterations=3, seed=5)
    torch.testing.assert_close(found, torch.tensor(centres, dtype=torch.float64))
    assert numbers.tolist() == [label(p) for p in points]


def test_equals_scikit_learn() -> None:
    x = torch.randn(300, 5, dtype=torch.float64) + 3 * torch.randint(0, 3, (300, 1))
    theirs = KMeans(8, init=_start(x, 8, 0), n_init=1, max_iter=300, tol=0).fit(x.numpy())
    centres, labels = kmeans(x, 8, iterations=300)
    torch.testing.assert_close(centres, torch.from_numpy(theirs.cluster_centers_))
    assert labels.tolist() == theirs.labels_.tolist()


def test_groups_that_lie_apart_are_found_every_time_alike() -> None:
    x = torch.eye(4).repeat(5, 1) + 0.01 * torch.randn(20, 4)
    centres, labels = kmeans(torch.cat([x[:4], x]), 4)
    again, same = kmeans(torch.cat([x[:4], x]), 4)
    assert torch.equal(centres, again) and torch.equal(labels, same)
    assert nearest(centres, centres).tolist() == [0, 1, 2, 3]


def test_a_label_that_none_has_keeps_what_there_was() -> None:
    x, labels = torch.tensor([[1.0], [3.0], [5.0]]), torch.tensor([2, 2, 0])
    assert means(x, labels, torch.full((4, 1), 9.0)).flatten().tolist() == [5, 9, 2, 9]


def test_there_must_be_enough() -> None:
    with pytest.raises(ValueError, match="2 vectors do not make 3 groups"):
        kmeans(torch.randn(2, 3), 3)
