"""Probes against plain loops, on separable and on meaningless embeddings; what cannot be probed says why."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from dovetail.contracts import Benchmark
from dovetail.data.records import DataError, Problems, Record
from dovetail.data.worlds import Sampler, Vocabulary, World
from dovetail.evaluation import benchmarks, probes
from dovetail.evaluation.probes import LinearProbe, NearestNeighbours, every_fifth, fact, vote
from tests.evaluation.known import Constant, Held, Noise, Oracle, inside, one_hot, scenes_of

WORDS = Vocabulary(shapes=("square", "ring", "star"), colours=("red", "green", "blue"))
SINGLE = Held(240, seed=5, size=16, world=World(Sampler((1, 1), WORDS)))
TRAIN, TEST = SINGLE.split(120, 120)


class Points:
    """Records whose pictures are their embeddings, as bytes."""

    name = "points"

    def __init__(self, points: np.ndarray, labels: Sequence[str | None]) -> None:
        self.points, self.labels, self.problems = points, labels, Problems()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> Record:
        return Record(self.points[i], (), f"point {i}", i, self.labels[i])


class Identity:
    def encode_image(self, images: Sequence[Any]) -> np.ndarray:
        return np.stack(images)


@cache
def oracle() -> Oracle:
    known = [*WORDS.names, "small", "medium", "large", "plain", "striped", "dotted", "checked"]
    things = {image: scene.things[0] for image, scene in scenes_of(SINGLE).items()}
    return Oracle({i: one_hot([t.name, t.size, t.texture], known) for i, t in things.items()}, {})


@pytest.mark.parametrize("attribute", ["label", "size", "texture"])
def test_a_linear_probe_finds_what_is_there(attribute: str) -> None:
    benchmark = LinearProbe(TRAIN, TEST, attribute)
    assert isinstance(benchmark, Benchmark)
    result = benchmark(oracle())
    assert result["linear_probe/top1"].value == 1 and result["linear_probe/top1"].share
    assert result.counts["training images"] == result.counts["images"] == 120
    assert result.chance["linear_probe/top1"] == pytest.approx(1 / result.counts["classes"])
    assert result.details["C"] in probes.STRENGTHS


def test_neighbours_find_what_is_there() -> None:
    result = NearestNeighbours(TRAIN, TEST, "texture", k=5)(oracle())
    assert isinstance(NearestNeighbours(TRAIN, TEST), Benchmark)
    assert result["knn/top1"].value == 1 and result["knn/top1"].share
    assert result.chance == {"knn/top1": 1 / 4}


def test_nothing_is_found_in_noise() -> None:
    assert inside(LinearProbe(TRAIN, TEST, "colour")(Noise()))
    assert inside(NearestNeighbours(TRAIN, TEST, "shape")(Noise()))


def test_constant_embeddings_give_the_most_frequent_class() -> None:
    labels = ["a"] * 30 + ["b"] * 20
    train, test = Points(np.ones((50, 3)), labels), Points(np.ones((10, 3)), ["a"] * 4 + ["b"] * 6)
    assert NearestNeighbours(train, test, k=1)(Identity())["knn/top1"].value == pytest.approx(0.4)
    assert LinearProbe(train, test)(Identity())["linear_probe/top1"].value == pytest.approx(0.4)
    assert 0 < LinearProbe(TRAIN, TEST, "colour")(Constant())["linear_probe/top1"].value < 0.6


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = SINGLE.split(60, 50)
    whole = [b(train, test, "colour")(Noise()).figures for b in (LinearProbe, NearestNeighbours)]
    monkeypatch.setattr(benchmarks, "BATCH", 11)
    monkeypatch.setattr(probes, "CELLS", 500)
    assert [b(train, test, "colour")(Noise()).figures for b in (LinearProbe, NearestNeighbours)] == whole


@pytest.mark.parametrize("k", [1, 4, 30])
def test_the_vote_is_the_definition(k: int) -> None:
    x, known = (torch.nn.functional.normalize(torch.randn(n, 6), dim=1) for n in (9, 30))
    labels = torch.randint(0, 4, (30,))
    found = vote(x, known, labels, 4, k)
    for q in range(9):
        near = sorted(range(30), key=lambda i: -float(x[q] @ known[i]))[:k]
        votes = [0.0] * 4
        for i in near:
            votes[int(labels[i])] += math.exp(float(x[q] @ known[i]) / 0.07)
        assert found[q].tolist() == pytest.approx([v / sum(votes) for v in votes], rel=1e-4)


def test_near_ones_outvote_many_far_ones() -> None:
    """By hand: cosines 1, 0.8 and 0.8 weigh as 1, 0.0574 and 0.0574."""
    known = np.array([[1.0, 0.0], [0.8, 0.6], [0.8, -0.6], [-1.0, 0.0]])
    train, test = Points(known, ["near", "far", "far", "other"]), Points(np.array([[2.0, 0.0]]), ["near"])
    assert NearestNeighbours(train, test, k=3)(Identity())["knn/top1"].value == 1
    weights = vote(torch.tensor([[1.0, 0.0]]), torch.tensor(known).float(), torch.tensor([0, 1, 1, 2]), 3, 3)
    assert weights[0].tolist() == pytest.approx([1 / 1.11485, 0.11485 / 1.11485, 0], abs=1e-4)


def test_the_strength_is_chosen_without_the_test_images() -> None:
    random = np.random.default_rng(0)
    centres = random.normal(size=(3, 8))
    y, asked = np.arange(100) % 3, np.arange(60) % 3
    x, z = centres[y] + 1.5 * random.normal(size=(100, 8)), centres[asked] + 1.5 * random.normal(size=(60, 8))
    result = LinearProbe(Points(x, [f"c{c}" for c in y]), Points(z, [f"c{c}" for c in asked]))(Identity())
    held = result.details["held_out_accuracy"]
    assert held[str(result.details["C"])] == max(held.values()) and len(held) == 5
    unit, new = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x, z))
    centre, spread = unit.mean(0), unit.std(0)
    fitted = LogisticRegression(C=result.details["C"], max_iter=1000).fit((unit - centre) / spread, y)
    expected = np.mean(fitted.predict((new - centre) / spread) == asked)
    assert result["linear_probe/top1"].value == pytest.approx(expected, abs=0.02)
    assert 0.4 < expected < 1


def test_every_fifth_of_each_class() -> None:
    labels = torch.tensor([0] * 23 + [1] * 5 + [2] * 4)
    marked = every_fifth(labels)
    assert [int(marked[labels == c].sum()) for c in range(3)] == [4, 1, 0]
    assert torch.equal(marked, every_fifth(labels))
    assert not marked[:4].all() and marked[:23].nonzero().diff(dim=0).unique().numel() > 1  # a random order


def test_facts_and_labels() -> None:
    several = Held(1, world=World(Sampler((2, 2))))[0]
    assert fact(several, "colour") is None and fact(several, "label") is None
    thing = SINGLE.scene(0).things[0]
    assert [fact(SINGLE[0], a) for a in ("colour", "size", "label")] == [thing.colour, thing.size, thing.name]
    assert fact(Record(np.zeros((4, 4)), (), "x", 1, "cat"), "shape") is None


def test_what_is_left_out_is_counted() -> None:
    train = Points(np.random.rand(12, 3), ["a", "b"] * 5 + [None, "a"])
    test = Points(np.random.rand(4, 3), ["a", "c", "b", None])
    result = NearestNeighbours(train, test, k=2)(Identity())
    assert result.counts == {"training images": 11, "images": 2, "classes": 2}
    assert dict(result.skipped.counts) == {"no label": 2, "not a class of the training images": 1}
    assert result.skipped.examples["not a class of the training images"] == ["point 1: c"]


def test_what_cannot_be_probed() -> None:
    with pytest.raises(DataError, match="attribute 'weight': expected label, shape, colour, size, texture"):
        LinearProbe(TRAIN, TEST, "weight")(Identity())
    one = Points(np.random.rand(9, 3), ["a"] * 9)
    with pytest.raises(DataError, match="points: every image has label 'a'; a probe needs two classes"):
        NearestNeighbours(one, one)(Identity())
    few = Points(np.random.rand(8, 3), list("aaaabbbb"))
    with pytest.raises(DataError, match="no label has five images"):
        LinearProbe(few, few)(Identity())
    with pytest.raises(DataError, match="k=0: expected at least one neighbour"):
        NearestNeighbours(one, one, k=0)
