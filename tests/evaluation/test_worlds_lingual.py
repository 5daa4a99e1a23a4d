"""Retrieval across languages: who understands all is right, who understands one language is right in that one."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from dovetail.contracts import Benchmark
from dovetail.data.records import DataError
from dovetail.data.worlds import Sampler, Vocabulary, World
from dovetail.data.worlds.words.languages import LANGUAGES
from dovetail.evaluation import benchmarks
from dovetail.evaluation.worlds.lingual import CrossLingualBenchmark
from tests.evaluation.known import Held, Noise, Oracle, TokenNoise, picture

SOURCE = Held(90, seed=8, size=24)
TWO = ("en", "de")


class Recorder(Noise):
    """Knows nothing, and keeps the texts of each call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[str]] = []

    def encode_text(self, texts: list[str]) -> Tensor:
        self.calls.append(list(texts))
        return super().encode_text(texts)


def told(source: Held, languages: tuple[str, ...]) -> list[list[str]]:
    """The texts of each language, in the order of the scenes."""
    recorder = Recorder()
    CrossLingualBenchmark(source, languages)(recorder)
    assert recorder.pictures == len(source)  # each picture is encoded once
    return recorder.calls


def things(source: Held, i: int) -> tuple[tuple[str, ...], ...]:
    return tuple(sorted((t.size, t.texture, t.colour, t.shape) for t in source.scene(i).things))


def oracle(source: Held, languages: tuple[str, ...], means: Callable[[int, int], int] = lambda call, i: i) -> Oracle:
    """Gives scenes of the same things the same direction; text i of call `call` is taken for that of scene `means`."""
    rows = {held: n for n, held in enumerate(sorted({things(source, i) for i in range(len(source))}))}
    directions = [torch.eye(len(rows))[rows[things(source, i)]] for i in range(len(source))]
    texts = {
        text: directions[means(call, i)]
        for call, said in enumerate(told(source, languages))
        for i, text in enumerate(said)
    }
    return Oracle({picture(source[i].image): directions[i] for i in range(len(source))}, texts)


def test_an_oracle_understands_every_language() -> None:
    benchmark = CrossLingualBenchmark(SOURCE)
    assert isinstance(benchmark, Benchmark)
    result = benchmark(oracle(SOURCE, tuple(LANGUAGES)))
    others = [code for code in LANGUAGES if code != "en"]
    assert set(result) == {
        *(f"{code}/text_to_image/R@{k}" for code in LANGUAGES for k in (1, 10)),
        *(f"{code}_to_en/R@1" for code in others),
        *(f"en_to_{code}/R@1" for code in others),
    }
    assert len(others) == 4
    assert all(e.value == 1 and e.share for e in result.values())
    assert result.counts == {"images": 90, "languages": 5}


def test_who_knows_nothing_guesses() -> None:
    result = CrossLingualBenchmark(SOURCE, TWO)(Noise())
    assert set(result.chance) == set(result)
    assert len({things(SOURCE, i) for i in range(90)}) == 90
    assert result.chance["de/text_to_image/R@1"] == pytest.approx(1 / 90)
    assert result.chance["de/text_to_image/R@10"] == pytest.approx(10 / 90)
    for name, estimate in result.items():  # few hits are expected, so the interval is that of a draw of 90 at chance
        chance = result.chance[name]
        assert abs(estimate.value - chance) <= 3.3 * (chance * (1 - chance) / 90) ** 0.5, name


def test_who_understands_one_language() -> None:
    """German texts are taken for those of the next scene: hand-made, so that every German answer is wrong."""
    model = oracle(SOURCE, TWO, lambda call, i: (i + 1) % 90 if call == 1 else i)
    result = CrossLingualBenchmark(SOURCE, TWO)(model)
    assert result["en/text_to_image/R@1"].value == 1
    wrong = ("de/text_to_image/R@1", "de_to_en/R@1", "en_to_de/R@1")
    same = sum(things(SOURCE, i) == things(SOURCE, (i + 1) % 90) for i in range(90)) / 90
    assert [result[name].value for name in wrong] == pytest.approx([same] * 3, abs=0.05)


def test_scenes_of_the_same_things_answer_for_each_other() -> None:
    few = Vocabulary(("ring",), ("red", "blue"), sizes=("small",), textures=("plain",))
    source = Held(20, seed=1, size=24, world=World(Sampler((1, 1), few)))
    result = CrossLingualBenchmark(source, TWO)(oracle(source, TWO))
    assert all(e.value == 1 for e in result.values())
    red = sum(source.scene(i).things[0].colour == "red" for i in range(20))
    assert result.chance["de/text_to_image/R@1"] == pytest.approx((red**2 + (20 - red) ** 2) / 400)


def test_every_language_tells_the_same_scenes() -> None:
    english, german = told(SOURCE, TWO)
    assert len(english) == len(german) == 90
    assert not set(english) & set(german)
    for i, text in enumerate(english):
        assert all(colour in text or colour == "purple" for _, _, colour, _ in things(SOURCE, i))
    assert told(SOURCE, ("de",)) == [german, english]


def test_batches_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = CrossLingualBenchmark(SOURCE, TWO)(Noise())
    monkeypatch.setattr(benchmarks, "BATCH", 7)
    assert CrossLingualBenchmark(SOURCE, TWO)(Noise()).figures == whole.figures
    assert CrossLingualBenchmark(SOURCE, TWO)(TokenNoise()).figures == whole.figures


def test_unknown_languages() -> None:
    with pytest.raises(DataError, match="unknown languages: xx; there are en, de"):
        CrossLingualBenchmark(SOURCE, ("en", "xx"))
    with pytest.raises(DataError, match="unknown languages: none"):
        CrossLingualBenchmark(SOURCE, ())
