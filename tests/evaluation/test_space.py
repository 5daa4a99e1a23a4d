"""Gap, alignment and uniformity: the definitions of geometry, honest intervals, and what random directions give."""

import math

import numpy as np
import pytest
import torch

from dovetail.contracts import Benchmark, Kind
from dovetail.data.records import Caption, DataError, Problems, Record
from dovetail.evaluation import benchmarks, space
from dovetail.evaluation.geometry import alignment, modality_gap, uniformity
from dovetail.evaluation.intervals import bootstrap
from dovetail.evaluation.space import SpaceBenchmark, evenness, gap, pairs, random_uniformity
from tests.evaluation.known import WIDTH, Noise, Oracle, inside, picture


class Records:
    """Record i is a picture of the number i, with two captions."""

    name = "records"

    def __init__(self, count: int) -> None:
        self.problems, self.count = Problems(), count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> Record:
        image = np.full((2, 2, 3), i // 256, np.uint8)
        image[0, 0] = i % 256
        captions = Caption(f"even {i}"), Caption(f"odd {i}"), Caption(f"not {i}", Kind.NEGATIVE)
        return Record(image, captions, f"record {i}", i)


def told(i: int) -> str:
    return f"odd {i}" if i % 2 else f"even {i}"


def model(images: torch.Tensor, texts: torch.Tensor) -> Oracle:
    source = Records(len(images))
    known = {picture(source[i].image): images[i] for i in range(len(images))}
    return Oracle(known, {told(i): texts[i] for i in range(len(texts))})


def values(count: int, oracle: Oracle) -> dict[str, float]:
    return {name: estimate.value for name, estimate in SpaceBenchmark(Records(count))(oracle).items()}


def test_figures_are_those_of_geometry() -> None:
    x, y = 3 * torch.randn(80, 6) + 1, torch.randn(80, 6)
    assert isinstance(SpaceBenchmark(Records(80)), Benchmark)
    expected = {
        "modality_gap": modality_gap(x, y),
        "alignment": alignment(x, y),
        "uniformity/images": uniformity(x),
        "uniformity/texts": uniformity(y),
    }
    assert values(80, model(x, y)) == pytest.approx(expected, rel=1e-5)


def test_who_knows_all_has_no_gap() -> None:
    x = torch.randn(60, 6)
    result = SpaceBenchmark(Records(60))(model(x, 2 * x))
    for name in ("modality_gap", "alignment"):
        assert (result[name].value, result[name].high) == pytest.approx((0, 0), abs=1e-6)
    assert result["uniformity/images"].value == pytest.approx(result["uniformity/texts"].value)


def test_who_knows_nothing_gives_what_chance_gives() -> None:
    result = SpaceBenchmark(Records(300))(Noise())
    assert inside(result)
    assert result.chance["alignment"] == 2
    assert result.chance["modality_gap"] == pytest.approx(math.sqrt(2 / 300))
    assert set(result.chance) == set(result) and not any(e.share for e in result.values())


def test_two_pairs_by_hand() -> None:
    """Images at 0 and 90 degrees, texts at 90 and 180."""
    x, y = torch.tensor([[1.0, 0.0], [0.0, 3.0]]), torch.tensor([[0.0, 2.0], [-1.0, 0.0]])
    expected = {"modality_gap": 1.0, "alignment": 2.0, "uniformity/images": -4.0, "uniformity/texts": -4.0}
    assert values(2, model(x, y)) == pytest.approx(expected)


def test_chance_is_that_of_many_random_directions() -> None:
    for width in (2, 8, WIDTH):
        assert random_uniformity(width) == pytest.approx(uniformity(torch.randn(3000, width)), abs=0.03)


def test_a_pair_weighs_as_its_items_and_no_item_meets_itself() -> None:
    table = torch.rand(5, 5, dtype=torch.float64)
    weights = torch.tensor([[1, 1, 1, 1, 1], [2, 0, 1, 0, 2], [0, 5, 0, 0, 0]], dtype=torch.float64)
    found = pairs(table)(weights).tolist()
    for row, drawn in enumerate(([0, 1, 2, 3, 4], [0, 0, 2, 4, 4])):
        met = [(i, j) for i in drawn for j in drawn if i != j]
        if row == 1:  # two draws of one item are pairs of different draws, which do not count either
            assert len(met) == 16
            count = 25 - (4 + 1 + 4)
            assert found[1] == pytest.approx(sum(float(table[i, j]) for i, j in met) / count)
        else:
            assert found[0] == pytest.approx(np.mean([float(table[i, j]) for i, j in met]))
    assert found[2] == pytest.approx(found[0])  # no pair is left


def test_intervals_cover_the_truth() -> None:
    """Of 40 samples, the interval of nearly all holds what very many items give."""
    mean = torch.zeros(8)
    mean[0] = 0.5
    many = torch.nn.functional.normalize(torch.randn(4000, 8) + mean, dim=1)
    truth = uniformity(many)
    hits = 0
    for _ in range(40):
        some = torch.nn.functional.normalize(torch.randn(60, 8) + mean, dim=1).double()
        estimate = bootstrap({"u": evenness(some)}, 60, resamples=200)["u"]
        hits += estimate.low <= truth <= estimate.high
    assert hits >= 34


def test_a_small_gap_is_not_pushed_up_by_resampling() -> None:
    differences = torch.randn(100, 16).double() / 4
    estimate = bootstrap({"gap": gap(differences)}, 100)["gap"]
    assert estimate.value == pytest.approx(float(differences.mean(0).norm()))
    assert estimate.low < estimate.value * 0.95 and estimate.value * 1.05 < estimate.high


def test_batches_and_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = SpaceBenchmark(Records(90))(Noise())
    monkeypatch.setattr(benchmarks, "BATCH", 7)
    assert SpaceBenchmark(Records(90))(Noise()).figures == whole.figures
    monkeypatch.setattr(space, "SAMPLE", 30)
    part = SpaceBenchmark(Records(90))(Noise())
    assert part.counts == {"images": 90, "sample": 30}
    assert part["alignment"] == whole["alignment"]
    assert part["modality_gap"].value > whole["modality_gap"].value
    assert SpaceBenchmark(Records(90), limit=20)(Noise()).counts["images"] == 20


def test_one_record_has_no_shape() -> None:
    with pytest.raises(DataError, match="records: one usable record; the shape of a space needs at least two"):
        SpaceBenchmark(Records(1))(Noise())
