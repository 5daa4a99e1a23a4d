"""Counting on captions: who counts is right, who guesses is as good as chance, and what counts nothing is skipped."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dovetail.contracts import Benchmark, Kind
from dovetail.data.records import Caption, DataError, Record
from dovetail.data.sources import Table, open_source
from dovetail.data.vocabulary import NUMBERS
from dovetail.evaluation.counting import CaptionCountingBenchmark
from tests.evaluation.known import Constant, Noise, Oracle, inside, picture


def _record(i: int, *captions: Caption) -> Record:
    return Record(np.full((8, 8, 3), i, np.uint8), captions, f"item {i}", i)


def _source(count: int) -> Table:
    """Counted dogs and cats by turns, and as many pictures in between that say no number for certain."""
    told = [
        (Caption("a photo"), Caption(f"{NUMBERS[i % 9].title()} {('dogs', 'cats')[i % 2]} run")) for i in range(count)
    ]
    none = [(Caption("two cats and a dog"[4 * (i % 2) :] if i % 2 else "three hours"),) for i in range(count)]
    false = Caption("five dogs", Kind.NEGATIVE)
    source = open_source([_record(i, *c, false) for i, c in enumerate((*told, *none))])
    assert isinstance(source, Table)
    return source


def _place(number: int, noun: str) -> Tensor:
    x = torch.zeros(9, 2)
    x[number, ("dogs", "cats").index(noun)] = 1
    return x.flatten()


class Reader(dict[str, Tensor]):
    def __missing__(self, text: str) -> Tensor:
        number, noun, _ = text.split()
        return _place(NUMBERS.index(number.lower()), noun)


def test_who_counts_is_right_and_asked_about_every_number() -> None:
    source = _source(18)
    images = {picture(source[i].image): _place(i % 9, ("dogs", "cats")[i % 2]) for i in range(36)}
    model = Oracle(images, Reader())
    result = CaptionCountingBenchmark(source)(model)
    assert (result["count/accuracy"].value, result["count/mean_absolute_error"].value) == (1.0, 0.0)
    assert result.counts == {"images": 18, "numbers": 9}
    assert result.skipped.counts == {"no caption that counts": 18}
    assert sorted(model.asked) == sorted(f"{n.title()} {noun} run" for n in NUMBERS for noun in ("dogs", "cats"))
    assert result.chance["count/accuracy"] == 1 / 9
    distances = [abs(a - b) for a in range(9) for b in range(9)]
    assert result.chance["count/mean_absolute_error"] == pytest.approx(sum(distances) / 81)


@pytest.mark.parametrize("model", [Noise(), Constant()], ids=["noise", "constant"])
def test_who_knows_nothing_guesses(model: Noise) -> None:
    assert inside(CaptionCountingBenchmark(_source(90))(model))


def test_no_more_records_than_asked_for() -> None:
    assert CaptionCountingBenchmark(_source(18), limit=5)(Noise()).counts["images"] == 5


def test_nothing_to_count_is_an_error() -> None:
    source = open_source([_record(0, Caption("a dog"))])
    assert isinstance(source, Table)
    benchmark = CaptionCountingBenchmark(source)
    assert isinstance(benchmark, Benchmark)
    with pytest.raises(DataError):
        benchmark(Noise())
