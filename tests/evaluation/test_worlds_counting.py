"""Counting: who counts is right, who guesses errs as much as every number alike, and fixed answers by hand."""

import re
from collections import Counter
from statistics import fmean

import pytest
import torch
from torch import Tensor

from dovetail.contracts import Benchmark
from dovetail.data.records import DataError
from dovetail.data.worlds import Sampler, World
from dovetail.evaluation import benchmarks
from dovetail.evaluation.worlds.counting import CountingBenchmark
from tests.evaluation.known import Constant, Held, Noise, Oracle, TokenNoise, inside, picture
from tests.evaluation.test_worlds_attributes import USUAL, WORDS

SOURCE = Held(100, seed=6, size=24, world=World(Sampler((2, 5), alike=0.8)))
NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5}
NAMES = [f"{colour} {shape}" for colour in WORDS["colour"] for shape in WORDS["shape"]]
NOUNS = {shape: shape for shape in [*WORDS["shape"], "disc", "moon"]}
PLURALS = {shape + ("es" if shape == "cross" else "s"): shape for shape in NOUNS}
COUNTED = re.compile(rf"\b({'|'.join(NUMBERS)}) (\w+) ({'|'.join([*PLURALS, *NOUNS])})\b")


def read(text: str) -> tuple[int, str]:
    """The number and what it counts."""
    number, colour, noun = COUNTED.findall(text.lower())[-1]
    assert (noun in PLURALS) == (NUMBERS[number] > 1)
    shape = PLURALS.get(noun, noun)
    return NUMBERS[number], f"{USUAL.get(colour, colour)} {USUAL.get(shape, shape)}"


def place(count: int, name: str) -> Tensor:
    x = torch.zeros(5, len(NAMES))
    x[count - 1, NAMES.index(name)] = 1
    return x.flatten()


class Reader(dict[str, Tensor]):
    def __missing__(self, text: str) -> Tensor:
        return place(*read(text))


def tallies() -> list[Counter[str]]:
    return [Counter(thing.name for thing in SOURCE.scene(i).things) for i in range(len(SOURCE))]


def oracle() -> Oracle:
    seen = [torch.stack([place(count, name) for name, count in tally.items()]).sum(0) for tally in tallies()]
    return Oracle({picture(SOURCE[i].image): x for i, x in enumerate(seen)}, Reader())


class Always(Constant):
    """Answers every question with one number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def encode_text(self, texts: list[str]) -> Tensor:
        x = torch.ones(len(texts), 256)
        x[:, 0] = torch.tensor([1.0 if read(text)[0] == self.number else -1.0 for text in texts])
        return x


def test_an_oracle_counts() -> None:
    benchmark = CountingBenchmark(SOURCE)
    assert isinstance(benchmark, Benchmark)
    model = oracle()
    result = benchmark(model)
    assert result["count/accuracy"].value == 1 and result["count/accuracy"].share
    error = result["count/mean_absolute_error"]
    assert error.value == error.high == 0 and not error.share
    assert {read(text)[0] for text in model.asked} == {1, 2, 3, 4, 5}


def test_who_knows_nothing_guesses() -> None:
    result = CountingBenchmark(SOURCE)(Noise())
    assert inside(result)
    counts = [max(tally.values()) for tally in tallies()]
    error = fmean(abs(count - guess) for count in counts for guess in range(1, 6))
    assert result.chance == pytest.approx({"count/accuracy": 1 / 5, "count/mean_absolute_error": error})
    same = CountingBenchmark(SOURCE)(Constant())
    assert {name: e.value for name, e in same.items()} == pytest.approx(same.chance)


@pytest.mark.parametrize("number", [1, 3])
def test_always_the_same_answer(number: int) -> None:
    counts = [max(tally.values()) for tally in tallies()]
    result = CountingBenchmark(SOURCE)(Always(number))
    assert result["count/accuracy"].value == pytest.approx(counts.count(number) / len(counts))
    assert result["count/mean_absolute_error"].value == pytest.approx(fmean(abs(c - number) for c in counts))


def test_texts_of_a_question_differ_in_the_number_alone() -> None:
    benchmark = CountingBenchmark(SOURCE)
    for i in range(30):
        question = benchmark._question(SOURCE[i], (SOURCE.seed, i))[0]
        assert [read(text)[0] for text in question.texts] == [1, 2, 3, 4, 5]
        assert len({read(text)[1] for text in question.texts}) == 1
        frames = {COUNTED.sub("", text).replace("there is", "there are") for text in question.texts}
        assert len(frames) == 1, question.texts
        assert tallies()[i][read(question.texts[0])[1]] == question.number == max(tallies()[i].values())


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = CountingBenchmark(SOURCE)(Noise())
    monkeypatch.setattr(benchmarks, "BATCH", 7)
    assert CountingBenchmark(SOURCE)(Noise()).figures == whole.figures
    assert CountingBenchmark(SOURCE)(TokenNoise()).figures == whole.figures


def test_a_world_of_single_things() -> None:
    with pytest.raises(DataError, match="a world of single things has nothing to count"):
        CountingBenchmark(Held(3, size=24, world=World(Sampler((1, 1)))))(Noise())
