"""The bootstrap gives the right figures, deterministic intervals, and intervals that cover."""

import time

import numpy as np
import pytest
import torch

from dovetail.evaluation import intervals
from dovetail.evaluation.intervals import Estimate, average, bootstrap, difference, mean, mean_per_class, median
from tests.evaluation import oracles


def test_prints_value_and_interval() -> None:
    assert str(Estimate(0.612, 0.5894, 0.634, share=True)) == "61.2 (58.9-63.4)"
    assert f"{Estimate(12.0, 10.0, 15.5)}" == "12.0 (10.0-15.5)"
    assert f"{Estimate(-0.5, -1.0, 0.25):.2f}" == "-0.50 (-1.00 to 0.25)"


@pytest.mark.parametrize("estimate", [Estimate(0.5, 0.25, 0.75, share=True), Estimate(3.0, 1.0, 9.0)])
def test_json_round_trip(estimate: Estimate) -> None:
    assert Estimate.from_json(estimate.to_json()) == estimate


@pytest.mark.parametrize("n", [1, 2, 7, 100])
def test_values_are_the_definitions(n: int) -> None:
    values = torch.randint(0, 9, (n,)).float()
    labels = torch.randint(0, 4, (n,))
    found = bootstrap({"mean": mean(values), "median": median(values), "class": mean_per_class(values, labels)}, n)
    assert found["mean"].value == pytest.approx(np.mean(values.tolist()))
    assert found["median"].value == oracles.median_rank(values.tolist())
    assert found["class"].value == pytest.approx(oracles.per_class_mean(values.tolist(), labels.tolist()))
    assert all(e.low <= e.value <= e.high for e in found.values())


def test_a_statistic_of_weights_is_that_of_repeated_values() -> None:
    values, labels, item = torch.randn(30), torch.randint(0, 5, (30,)), torch.arange(30) // 3
    by_item, by_value = torch.randint(0, 4, (2, 10)).double(), torch.randint(0, 4, (2, 30)).double()
    of_item = {mean: mean(values, item)(by_item), median: median(values, item)(by_item)}
    for row in range(2):
        repeated = [v for i, v in enumerate(values.tolist()) for _ in range(int(by_item[row, i // 3]))]
        assert float(of_item[mean][row]) == pytest.approx(np.mean(repeated))
        assert float(of_item[median][row]) == pytest.approx(oracles.median_rank(repeated))
        copies = [i for i in range(30) for _ in range(int(by_value[row, i]))]
        expected = oracles.per_class_mean(values[copies].tolist(), labels[copies].tolist())
        assert float(mean_per_class(values, labels)(by_value)[row]) == pytest.approx(expected)


def test_a_class_that_a_resample_misses_does_not_count() -> None:
    statistic = mean_per_class(torch.tensor([1.0, 0.0, 0.5]), torch.tensor([0, 1, 2]))
    assert float(statistic(torch.tensor([[2.0, 0.0, 1.0]], dtype=torch.float64))) == 0.75


def test_average_sees_the_same_resamples() -> None:
    values = torch.rand(50)
    found = bootstrap({"a": mean(values), "b": average([mean(values), mean(1 - values)])}, 50)
    assert found["a"].high > found["a"].low
    assert found["b"].value == pytest.approx(0.5)
    assert found["b"].high - found["b"].low < 1e-6


def test_the_same_seed_gives_the_same_interval_however_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.randn(40)
    first = bootstrap({"m": mean(values)}, 40)
    assert bootstrap({"m": mean(values)}, 40) == first
    assert bootstrap({"m": mean(values)}, 40, seed=1) != first
    monkeypatch.setattr(intervals, "BLOCK", 100)
    assert bootstrap({"m": mean(values)}, 40) == first


def test_only_named_statistics_are_shares() -> None:
    found = bootstrap({"a": mean(torch.ones(3)), "b": mean(torch.ones(3))}, 3, shares=["a"])
    assert found["a"].share and not found["b"].share


def test_nothing_to_estimate_from() -> None:
    with pytest.raises(ValueError, match="there are no items"):
        bootstrap({}, 0)


def test_coverage_of_bernoulli_means() -> None:
    random = np.random.default_rng(0)
    drawn = torch.from_numpy(random.random((200, 150)) < 0.3).float()
    found = bootstrap({str(i): mean(row) for i, row in enumerate(drawn)}, 150)
    covered = np.mean([e.low <= 0.3 <= e.high for e in found.values()])
    assert 0.9 <= covered <= 0.99


def test_coverage_of_dependent_captions_needs_their_items() -> None:
    random = np.random.default_rng(1)
    item = torch.arange(100).repeat_interleave(5)
    drawn = torch.from_numpy(random.random((200, 100)) < 0.3).float()[:, item]  # all captions of an image alike
    clustered = bootstrap({str(i): mean(row, item) for i, row in enumerate(drawn)}, 100)
    naive = bootstrap({str(i): mean(row) for i, row in enumerate(drawn)}, 500)
    covered = [np.mean([e.low <= 0.3 <= e.high for e in found.values()]) for found in (clustered, naive)]
    assert 0.9 <= covered[0] <= 0.99
    assert covered[1] < 0.75


def test_width_shrinks_with_the_root_of_n() -> None:
    widths = []
    for n in (100, 1600):
        values = (torch.arange(n) % 2).float()
        found = bootstrap({"m": mean(values)}, n)["m"]
        widths.append(found.high - found.low)
        assert widths[-1] == pytest.approx(2 * 1.96 * 0.5 / n**0.5, rel=0.15)
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.2)


def test_a_thousand_resamples_of_5000_items_take_a_moment() -> None:
    values = torch.rand(5000)
    start = time.process_time()
    bootstrap({"m": mean(values)}, 5000)
    assert time.process_time() - start < 1


def test_the_difference_of_two_figures_of_the_same_items() -> None:
    a = torch.rand(200, dtype=torch.float64)
    b = a - 0.1 + 0.01 * torch.randn(200, dtype=torch.float64)
    first, second = (bootstrap({"x": mean(v)}, 200, shares=("x",))["x"] for v in (a, b))
    found = difference(first, second)
    assert found.value == pytest.approx(float((a - b).mean())) and found.share
    half = 1.96 * float((a - b).std()) / 200**0.5
    assert found.high - found.low == pytest.approx(2 * half, rel=0.2)
    assert first.high - second.low > 5 * (found.high - found.low), "items that are hard for both cancel out"


def test_a_difference_needs_resamples() -> None:
    one = bootstrap({"x": mean(torch.rand(5, dtype=torch.float64))}, 5)["x"]
    with pytest.raises(ValueError, match="resamples"):
        difference(one, Estimate(1.0, 0.0, 2.0))
