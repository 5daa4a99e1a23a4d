"""Caption choice: a model that knows what is true is right, one that prefers short texts is scored by hand."""

from functools import cache
from statistics import fmean

import pytest
import torch
from torch import Tensor

from dovetail.contracts import Benchmark
from dovetail.data.records import DataError
from dovetail.data.worlds import Sampler, Vocabulary, World
from dovetail.data.worlds.tasks.negatives import KINDS, Negative, negatives
from dovetail.evaluation import benchmarks
from dovetail.evaluation.worlds.choice import ChoiceBenchmark
from tests.evaluation.known import Constant, Held, Noise, Oracle, TokenNoise, inside, picture

SOURCE = Held(80, seed=4, size=24, first=7)


@cache
def asked(source: Held = SOURCE, kinds: tuple[str, ...] = KINDS) -> list[tuple[Negative, ...]]:
    return [negatives(source.scene(i), (source.seed, source.first + i), kinds) for i in range(len(source))]


@cache
def oracle(source: Held = SOURCE) -> Oracle:
    """A text points to the pictures that it is true of, and away from those that it is false of."""
    texts: dict[str, Tensor] = {}
    for i, held in enumerate(asked(source)):
        for negative in held:
            texts.setdefault(negative.true, torch.zeros(len(source)))[i] = 1
            texts.setdefault(negative.false, torch.zeros(len(source)))[i] = -1
    return Oracle({picture(source[i].image): torch.eye(len(source))[i] for i in range(len(source))}, texts)


class Short(Constant):
    """Scores a text the higher the shorter it is."""

    def encode_text(self, texts: list[str]) -> Tensor:
        x = torch.ones(len(texts), 256)
        x[:, 0] = -torch.tensor([len(text) / 10 for text in texts])
        return x


def test_an_oracle_is_always_right() -> None:
    benchmark = ChoiceBenchmark(SOURCE)
    assert isinstance(benchmark, Benchmark)
    result = benchmark(oracle())
    assert set(result) == {*(f"choice/{kind}" for kind in KINDS), "choice/mean"}
    assert all(e.value == e.low == e.high == 1 and e.share for e in result.values())
    assert set(result.chance.values()) == {0.5} and set(result.chance) == set(result)
    assert result.counts["choices"] == sum(map(len, asked()))


def test_who_is_always_wrong() -> None:
    model = oracle()
    opposite = Oracle({key: -x for key, x in model.images.items()}, model.texts)
    assert all(e.value == e.high == 0 for e in ChoiceBenchmark(SOURCE)(opposite).values())


def test_who_knows_nothing_guesses() -> None:
    model = Noise()
    result = ChoiceBenchmark(SOURCE)(model)
    assert inside(result)
    assert model.pictures == result.counts["images"]  # each picture is encoded once
    assert {e.value for e in ChoiceBenchmark(SOURCE)(Constant()).values()} == {0.5}


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ChoiceBenchmark(SOURCE)(Noise())
    monkeypatch.setattr(benchmarks, "BATCH", 7)
    assert ChoiceBenchmark(SOURCE)(Noise()).figures == whole.figures
    assert ChoiceBenchmark(SOURCE)(TokenNoise()).figures == whole.figures


def test_a_preference_for_short_texts() -> None:
    kinds = ("negation", "swapped attribute", "wrong count")
    expected: dict[str, list[float]] = {kind: [] for kind in kinds}
    for held in asked(kinds=kinds):
        for kind, true, false, *_ in held:
            expected[kind].append(0.5 if len(true) == len(false) else float(len(true) < len(false)))
    result = ChoiceBenchmark(SOURCE, kinds)(Short())
    for kind in kinds:
        assert result[f"choice/{kind}"].value == pytest.approx(fmean(expected[kind]))
    assert result["choice/mean"].value == pytest.approx(fmean(map(fmean, expected.values())))
    assert len({round(e.value, 6) for e in result.values()}) == 4  # the kinds do differ
    assert result["choice/negation"].low < result["choice/negation"].value < result["choice/negation"].high


def test_kinds_that_do_not_apply_are_not_reported() -> None:
    words = Vocabulary(("square", "ring"), ("red", "blue"))
    single = Held(30, size=24, world=World(Sampler((1, 1), words)))
    result = ChoiceBenchmark(single, ("swapped relation", "negation"))(Noise())
    assert set(result) == {"choice/negation", "choice/mean"}
    with pytest.raises(DataError, match="nothing is left to evaluate: 30 x no negative"):
        ChoiceBenchmark(single, ("swapped relation",))(Noise())
    with pytest.raises(DataError, match="unknown kinds of negatives: upside down"):
        ChoiceBenchmark(single, ("upside down",))
